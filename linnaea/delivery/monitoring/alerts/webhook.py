"""Alerts posted to an address that the operator gave."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from linnaea.delivery.monitoring.alerts.contract import ALERTS, Alert, AlertNotSentError, Channel
from linnaea.errors import UsageError

PATIENCE = 5.0  # seconds for each try
TRIES = 3


class _Straight(urllib.request.HTTPRedirectHandler):
    """An alert goes to the address that was given, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """No request follows."""
        return


@ALERTS.register("webhook", title="Webhook", order=30, target="url")
class Webhook(Channel):
    """A POST of JSON to an address, http or https: three tries of five seconds each; redirects are not followed."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"the webhook is {target!r}; expected an address such as https://example.org/alerts.")
        self.shown = f"{parts.scheme}://{parts.hostname}"  # the rest may hold a secret
        self._opener = urllib.request.build_opener(_Straight)

    def send(self, alert: Alert) -> None:
        """Post it until it is taken; an answer that says that it is wrong is not asked again."""
        body = json.dumps(alert.to_json(), ensure_ascii=False).encode()
        said = ""
        for _ in range(TRIES):
            try:
                self._post(body)
            except urllib.error.HTTPError as error:
                error.close()
                said = f"it answered {error.code}"
                if error.code < 500 and error.code not in (408, 429):
                    raise AlertNotSentError(f"{self.shown} did not take it: {said}") from None
            except (OSError, ValueError) as error:
                said = str(getattr(error, "reason", error)) or type(error).__name__
            else:
                return
        raise AlertNotSentError(f"{self.shown} did not take it in {TRIES} tries: {said}")

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "linnaea"}
        request = urllib.request.Request(self.target, body, headers, method="POST")  # noqa: S310 (http, see above)
        with self._opener.open(request, timeout=PATIENCE) as response:
            response.read(1)
