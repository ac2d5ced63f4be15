"""Connections with limits in time and number, which uvicorn leaves out, and a server that ends when it has answered."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from linnaea.delivery.serving.doorway import in_json
from linnaea.delivery.serving.limits import Limits
from linnaea.errors import UsageError
from linnaea.runtime.allocation import give_back_freed_memory
from linnaea.runtime.boundary import reason_of

logger = logging.getLogger("linnaea")
GRACE = 0.5  # seconds in which an idle connection may still ask when a server stops
TAKING = 30.0  # seconds in which a client must go on taking what it is sent
LATE = 10.0  # seconds after which a body that is not read any more ends its connection
CLOSE = (b"connection", b"close")


class Connection(H11Protocol):
    """One connection: it ends where a header, a body or an answer takes too long, and is refused where there are many.

    What is no HTTP is answered in JSON, like everything else.
    """

    def __init__(self, limits: Limits, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._limits, self.timeout_keep_alive = limits, limits.idle_time  # type: ignore[assignment]  # seconds
        self._timer: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._expected: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As there are not too many of them."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(
                503,
                f"there are {self._limits.max_connections} connections, as many as may be (--max-connections): try "
                "again after the seconds in Retry-After.",
                (b"retry-after", b"1"),
            )
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes; a header or a body that is still incomplete keeps the time that it began with."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._unwatch()
        self._go_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes nothing at present: unless it goes on soon, the connection ends, and what waits in it."""
        super().pause_writing()
        self._give_up_later()

    def resume_writing(self) -> None:
        """It goes on."""
        if not self.transport.is_closing():
            self._go_on()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """It was idle for too long; what it has not taken by then is not waited for."""
        super().timeout_keep_alive_handler()
        self._give_up_later()

    def _give_up_later(self) -> None:
        if self._giving_up is None:  # to close is not enough: that waits until all is taken
            self._giving_up = self.loop.call_later(TAKING, self.transport.abort)

    def _go_on(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def on_response_complete(self) -> None:
        """One request was answered, and the next may be there already."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Answer what was accepted and, for a moment, what is on its way, and say that there is no more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE]
            super().shutdown()
        else:
            self.loop.call_later(GRACE, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()
            self._give_up_later()

    def _watch(self) -> None:
        """Give what is expected its time, once."""
        state = self.conn.their_state
        if self.transport.is_closing():
            self._give_up_later()
        incomplete = state is h11.SEND_BODY or (state is h11.IDLE and self.timeout_keep_alive_task is None)
        if not incomplete or self.transport.is_closing():
            self._unwatch()
        elif state is not self._expected:
            self._unwatch()
            self._expected = state
            seconds = self._limits.header_time if state is h11.IDLE else self._limits.body_time + LATE
            self._timer = self.loop.call_later(seconds, self._late)

    def _unwatch(self) -> None:
        self._expected = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE:
            self._refuse(
                408,
                f"the header did not arrive within {self._limits.header_time:g} seconds (--header-time): send it "
                "at once.",
            )
        else:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(
            400,
            "this is no HTTP request, or its header is longer than "
            f"{self._limits.max_header:,} bytes (--max-header): send a request of HTTP/1.1.",
        )

    def _refuse(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        """Say no where there is no request yet, and close."""
        body = in_json({"error": message})
        told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), CLOSE, *headers]
        with contextlib.suppress(h11.LocalProtocolError):  # an answer has begun already: it stays cut off
            response = h11.Response(status_code=status, headers=told)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._give_up_later()


class Server(uvicorn.Server):
    """A server that ends with success when it is told to, once all that it accepted is answered."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As there, but a signal that was answered does not end the process once more."""
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Warm the models, then listen, and say so."""
        try:
            await super().startup(sockets)
        except OSError as error:
            raise UsageError(
                f"the address cannot be listened on ({reason_of(error)}): choose another --port."
            ) from None
        for bound in sockets or []:
            host, port = bound.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info(f"Ready: http://{shown}:{port} answers until it is stopped (Ctrl-C, SIGTERM).")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what is new, answer the rest, each answer saying that it is the last of its connection."""
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        await super().shutdown(sockets)


def listener(host: str, port: int) -> socket.socket:
    """A socket bound to an address, before anything is loaded; raises UsageError where another program has it."""
    with contextlib.ExitStack() as opened:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            bound = opened.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            opened.pop_all()
        except (OSError, UnicodeError) as error:
            raise _taken(host, port, error) from None
    return bound


def _taken(host: str, port: int, error: Exception) -> UsageError:
    return UsageError(
        f"{host}:{port} cannot be listened on ({reason_of(error)}): is another program there? Choose another --port, "
        "or 0 for any that is free."
    )


def server_of(application: FastAPI, limits: Limits) -> Server:
    """A server for an application, whose connections keep the limits."""
    config = uvicorn.Config(
        application,
        http=partial(Connection, limits),  # type: ignore[arg-type]  # it makes one, as a class would
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(limits.drain_time)),
        h11_max_incomplete_event_size=limits.max_header,
    )
    return Server(config)


def serve_on(bound: socket.socket, application: FastAPI, limits: Limits) -> None:
    """Answer on a socket until SIGTERM or Ctrl-C, then what was accepted."""
    give_back_freed_memory()
    server_of(application, limits).run([bound])
