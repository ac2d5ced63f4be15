"""Who may ask at all, and how often: before anything else of a request is looked at."""

import json
import math
import re
import time
from collections.abc import Mapping
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from linnaea.delivery.serving.keys import Keys, secret_in
from linnaea.delivery.serving.rates import Rates, client_of

OPEN = ("/", "/health", "/v2/health/live", "/v2/health/ready")  # the page asks for a key, and probes have none
BASIC = 'Basic realm="API key of this server, as the password", charset="UTF-8"'
PORT = re.compile(r":\d+$")
OPEN_FILES = re.compile(r"/page/[\w-]+\.(css|js|png|svg|webmanifest)")  # what it is made of, the same everywhere


class Guard:
    """An ASGI middleware that refuses requests without a key, where keys are in use, and those that come too often.

    The name of the key is put into `scope["state"]["key"]`. Rates are those of the key or, where none are in use, of
    the address. What is open to everyone, the page and the probes, needs neither. `local` says that this machine alone
    can ask: without keys a page from elsewhere, whose name is made to point here, is refused.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Keys | None = None, rates: Rates | None = None, local: bool = False
    ) -> None:
        self._app, self._keys, self._rates, self._local = app, keys, rates, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and not _is_open(scope):
            refused = self._refused(scope)
            if refused is not None:
                await _refuse(send, *refused)
                return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str, Mapping[str, str]] | None:
        """The status, the words and the headers by which a request is refused; None where it is not."""
        client = client_of(scope["client"][0]) if scope.get("client") else ""
        if self._keys is not None:
            reads = scope["method"] in ("GET", "HEAD")  # what changes nothing, so that another page cannot misuse it
            key = self._keys.holder_of(secret_in(scope["headers"], basic=reads))
            if key is None:
                said = "expected a key of this server, as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
                return 401, said, {"www-authenticate": BASIC if reads and _is_browser(scope) else "Bearer"}
            if key.is_over(time.time()):
                return (
                    401,
                    f"the key {key.name} expired on {key.expires}: ask for a new one.",
                    {"www-authenticate": 'Bearer error="invalid_token"'},
                )
            client = key.name
            scope.setdefault("state", {})["key"] = client
        elif self._local and (host := _foreign_host(scope)):
            said = (
                f"Host is {host[:60]!r}, and this server answers on this machine alone: ask it as localhost or by a "
                "number. Let a proxy send `Host: localhost`, or give the server keys."
            )
            return 421, said, {}
        if self._rates is not None and (seconds := self._rates.wait(client)):
            wait = math.ceil(seconds)
            return 429, f"there were too many requests: try again in {wait} s.", {"retry-after": str(wait)}
        return None


def _foreign_host(scope: Scope) -> str:
    """The name that a server is asked by, where somebody elsewhere could own it; one without a dot nobody can."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    host = PORT.sub("", given).strip("[]").lower().rstrip(".")
    return "" if "." not in host or host.endswith(".localhost") or _is_number(host) else host


def is_loopback(address: str) -> bool:
    """Whether it is a number by which a machine asks itself alone."""
    return _is_number(address) and ip_address(address).is_loopback


def _is_number(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def _is_browser(scope: Scope) -> bool:
    """Whether a person looks at a page, and can be asked for a key."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    return scope["method"] in ("GET", "HEAD") and (path in OPEN or OPEN_FILES.fullmatch(path) is not None)


async def _refuse(send: Send, status: int, said: str, headers: Mapping[str, str]) -> None:
    body = json.dumps({"error": said}).encode()
    # what is still coming of the body is not read
    whole = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}
    pairs = [(name.encode(), value.encode()) for name, value in whole.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
