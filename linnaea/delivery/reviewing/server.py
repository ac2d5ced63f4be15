"""The server of a page of review: on loopback only, for one person, at an address that nobody can guess."""

import json
import secrets
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from linnaea.delivery.reviewing.files import POLICY, files
from linnaea.delivery.reviewing.session import OutOfStepError, Session
from linnaea.errors import LinnaeaError, UsageError

HOST, PATIENCE, MOST_BYTES = "127.0.0.1", 30, 64 * 2**10
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Served:
    """A page that is served while the context lasts; `address` opens it, `wait` returns when its reader is done."""

    def __init__(self, session: Session, port: int = 0) -> None:
        self._finished = Event()
        self.secret = secrets.token_urlsafe(12)
        handler = partial(Handler, session, self.secret, self._finished.set)
        try:
            self._server = Server((HOST, port), handler)
        except (OSError, OverflowError) as error:
            told = getattr(error, "strerror", None) or error
            raise UsageError(
                f"port {port} cannot be used ({told}): choose another --port, or 0 for a free one."
            ) from None
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self._server.server_port}/{self.secret}/"

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until whoever reviews has finished, or so long; returns whether that is so."""
        return self._finished.wait(seconds)

    def __enter__(self) -> "Served":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Server(ThreadingHTTPServer):
    """A thread for each connection; none of them keeps the command from ending."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is nothing to tell."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection; every address begins with the secret, and nothing is answered for another site."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "linnaea", ""
    timeout = PATIENCE

    def __init__(self, session: Session, secret: str, finish: Callable[[], None], *arguments: Any) -> None:
        self.session, self.secret, self.finish_all = session, secret, finish
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The page, its parts, its state, or an image."""
        self._answered(self._get)

    def do_POST(self) -> None:
        """Something is done with an image; the answer is the state after it."""
        self._answered(self._post)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def _answered(self, work: Callable[[list[str]], tuple[bytes, str]]) -> None:
        status = HTTPStatus.OK
        try:
            content, kind = work(self._path())
        except RefusedError as error:
            status, (content, kind) = error.status, _json({"error": str(error)})
        except OutOfStepError as error:
            status, (content, kind) = HTTPStatus.CONFLICT, _json({"error": str(error), **self.session.state()})
        except (LinnaeaError, OSError) as error:
            told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            status, (content, kind) = HTTPStatus.UNPROCESSABLE_ENTITY, _json({"error": told})
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if status is not HTTPStatus.OK:  # what was sent with it may not have been read
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)

    def _path(self) -> list[str]:
        """The parts of the address after the secret."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}  # type: ignore[attr-defined]
        if host not in own or (origin is not None and urlsplit(origin).netloc not in own):
            raise RefusedError(HTTPStatus.FORBIDDEN, "this page is answered for itself only.")
        secret, *parts = (self.path.partition("?")[0] + "/").removeprefix("/").removesuffix("/").split("/")
        if not secrets.compare_digest(secret.encode(), self.secret.encode()):
            raise RefusedError(HTTPStatus.NOT_FOUND, "open the address that the command has printed.")
        return parts

    def _get(self, parts: list[str]) -> tuple[bytes, str]:
        match parts:
            case ["state"]:
                return _json(self.session.state())
            case ["image", number]:
                return self.session.picture(_number(number)), "image/jpeg"
            case ["answer", number]:
                return _json(self.session.answer(_number(number)))
            case [name] if (name or "index.html") in files():
                return files()[name or "index.html"]
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here.")

    def _post(self, parts: list[str]) -> tuple[bytes, str]:
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected JSON.")
        given = self._body()
        number = given.get("number", -1)
        match parts:
            case ["label"]:
                self.session.label(_number(number), _label(given.get("label")), new=given.get("new") is True)
            case ["skip"]:
                self.session.skip(_number(number))
            case ["undo"]:
                self.session.undo()
            case ["again"]:
                self.session.look_again()
            case ["finish"]:
                self.finish_all()
            case _:
                raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here.")
        return _json(self.session.state())

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES:,} bytes.")
        try:
            given = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "expected a JSON object.")
        return given


class RefusedError(LinnaeaError):
    """A request that is not answered, with its status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def _json(content: Any) -> tuple[bytes, str]:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"), "application/json"


def _number(given: object) -> int:
    text = str(given)
    if isinstance(given, bool) or not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "expected the number of an image.")
    return int(text)


def _label(given: object) -> str | list[str] | None:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        return given
    raise RefusedError(HTTPStatus.BAD_REQUEST, "expected a label, a list of them, or null for none of the classes.")
