"""Structured logs: a line of JSON for each request and for whatever else is said, on standard error."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnaea.delivery.serving.audit_log.lines import told_time

QUIET = ("/metrics", "/health", "/v2/health/live", "/v2/health/ready")  # not logged while they answer well
LONGEST = 200  # letters of a path
LEFT = 499  # the status, as of nginx, of a request whose client has left before it was answered


class JsonLines(logging.Formatter):
    """What is logged as a line of JSON: time, level, logger, message and, where there is one, the error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        content = {
            "time": told_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return json.dumps(content)


@contextmanager
def logged_in_json() -> Iterator[None]:
    """Let what is logged on standard error meanwhile be lines of JSON."""
    root = logging.getLogger()
    plain = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]
    before = [(handler, handler.formatter) for handler in plain]
    for handler in plain:
        handler.setFormatter(JsonLines())
    try:
        yield
    finally:
        for handler, formatter in before:
            handler.setFormatter(formatter)


class RequestLog:
    """An ASGI middleware that writes a line for each request, once it is answered.

    It says when, which request, what was asked for, by whom, the status, the bytes and the milliseconds. Of what a
    query, a header or a body holds it says nothing, so that no key and no image is in a log.
    """

    def __init__(self, app: ASGIApp, *, stream: TextIO | None = None) -> None:
        self._app, self._stream = app, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told: dict[str, Any] = {"status": None, "request": None, "received": 0, "sent": 0}

        async def receiving() -> Message:
            message = await receive()
            told["received"] += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                ids = [value for name, value in message.get("headers", ()) if name.lower() == b"x-request-id"]
                told["request"] = ids[0].decode("latin-1") if ids else None
            told["sent"] += len(message.get("body", b""))
            await send(message)

        began = time.perf_counter()
        failed = True
        try:
            await self._app(scope, receiving, sending)
            failed = False
        finally:
            told["status"] = told["status"] or (500 if failed else LEFT)
            self._write(scope, told, time.perf_counter() - began)

    def _write(self, scope: Scope, told: dict[str, Any], seconds: float) -> None:
        if scope["path"] in QUIET and told["status"] < 400:
            return
        status = told["status"]
        line = {
            "time": told_time(time.time()),
            "level": "error" if status >= 500 else "warning" if status >= 400 else "info",
            "logger": "linnaea.requests",
            "request": told["request"],
            "method": scope["method"],
            "path": scope["path"][:LONGEST],
            "status": status,
            "client": scope["client"][0] if scope.get("client") else None,
            "key": scope.get("state", {}).get("key"),
            "received": told["received"],
            "sent": told["sent"],
            "milliseconds": round(seconds * 1000, 2),
        }
        stream = self._stream or sys.stderr
        with suppress(OSError, ValueError):  # nobody reads it any more, and requests go on
            stream.write(json.dumps(line) + "\n")
            stream.flush()
