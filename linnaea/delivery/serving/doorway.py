"""What every request passes first: it gets an id, and is refused at once where there is no room for it."""

import json
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnaea.delivery.serving.answering import Answering
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.reading import length_of

logger = logging.getLogger("linnaea")


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The id of a request, which the client is told in `x-request-id`."""
    return str(scope["state"]["request"])


def in_json(content: Any) -> bytes:
    """As it is sent; what no encoding of text can hold is written as JSON's own escapes."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def said(refused: Refused, request: str, more: Mapping[str, Any] | None = None) -> bytes:
    """An error as a client is told it."""
    return in_json({"error": refused.message, "request": request, **(more or {})})


class Doorway:
    """An ASGI middleware around everything else: ids, room for more requests, the length of bodies, errors in JSON.

    Only what has a body counts as a request that needs room: whether a server is well is told however busy it is.
    """

    def __init__(self, app: ASGIApp, *, answering: Answering, limits: Limits) -> None:
        self._app, self._answering, self._limits = app, answering, limits
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = uuid4().hex
        scope.setdefault("state", {})["request"] = request
        door = _Door(send, request)
        busy = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        try:
            self._require_short(scope)
            if busy:
                self._require_room(scope)
            self._inside += busy
            try:
                await self._app(scope, receive, door.send)
            finally:
                self._inside -= busy
        except Refused as refused:
            await door.refuse(refused)
        except Exception:
            logger.exception(f"The request {request} failed.")
            await door.refuse(Refused(500, "the server failed, and its log says why under this request's id."))

    def _require_short(self, scope: Scope) -> None:
        length = sum(len(name) + len(value) for name, value in scope["headers"])
        length += len(scope["raw_path"]) + len(scope["query_string"])
        if length > self._limits.max_header:
            raise Refused(
                431, f"the header has {length:,} bytes; expected at most {self._limits.max_header:,} (--max-header)."
            )

    def _require_room(self, scope: Scope) -> None:
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        length_of(headers, self._limits)
        if self._inside >= self._limits.max_requests:
            raise Refused(
                503,
                f"{self._inside} requests are being answered, and at most {self._limits.max_requests} may be "
                "(--max-requests): try again after the seconds in Retry-After.",
                retry_after=self._answering.patience,
            )
        self._answering.require_room()


class _Door:
    """The way out for one request's answer."""

    def __init__(self, send: Send, request: str) -> None:
        self._send, self._request = send, request
        self._begun = False

    async def send(self, message: Message) -> None:
        """Pass it on, with the id."""
        if message["type"] == "http.response.start":
            self._begun = True
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self._request.encode())]
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Say no, where nothing has been said yet."""
        if self._begun:
            return
        body = said(refused, self._request)
        headers = {"content-type": "application/json", "content-length": str(len(body)), **refused.headers}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refused.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})
