"""Who may tell a server to reload, and how: over HTTP, by SIGHUP, or by what is found where the models come from."""

import asyncio
import ipaddress
import logging
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

from fastapi import APIRouter, FastAPI, Request, Response

from linnaea.delivery.serving.application import JSON
from linnaea.delivery.serving.checking import Demands, NotSwitchedError
from linnaea.delivery.serving.doorway import in_json
from linnaea.delivery.serving.limits import Refused
from linnaea.delivery.serving.models import UnknownModelError
from linnaea.delivery.serving.reloading import Reloaded
from linnaea.errors import LinnaeaError, suggest

QUERIES = ("model", "other_classes", "agreement")
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")  # what a proxy says of whom it asks for
logger = logging.getLogger("linnaea")


class Reload(Protocol):
    """Reloads a model, or all of them; see `Reloading.reload`."""

    def __call__(self, name: str | None = None, demands: Demands = ...) -> list[Reloaded]:
        """What came of each."""


class Control(Protocol):
    """What is begun when an application begins to answer, and ended with it."""

    def begin(self, application: FastAPI) -> None:
        """It answers."""

    def end(self) -> None:
        """It answers no more."""


def administration(reload: Reload, control: Control, demands: Demands, admins: Collection[str] = ()) -> APIRouter:
    """The route `/admin/reload`, open to the API keys named in `admins` and to programs on this machine; and SIGHUP.

    `demands` are those of a reload that asks for no others.
    """

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(control.begin, application)
        with _BySignal(reload, demands):
            yield
        await asyncio.to_thread(control.end)

    router = APIRouter(lifespan=lifespan)

    @router.post("/admin/reload", summary="Load what the models' sources hold by now, and switch to it if it passes.")
    async def reload_models(request: Request) -> Response:
        require_admin(request, admins)
        name, asked = _asked(request, demands)
        try:
            told = await asyncio.to_thread(reload, name, asked)
        except UnknownModelError as error:
            raise Refused(404, str(error)) from None
        except NotSwitchedError as error:
            logger.error(f"Not reloaded: {error}")
            raise Refused(409, f"nothing was switched: {error}") from None
        return Response(in_json({"reloaded": [each.to_json() for each in told]}), media_type=JSON)

    return router


def require_admin(request: Request, admins: Collection[str]) -> None:
    """Raise Refused unless a key that may asks, or a program on this machine, no proxy and no page in a browser."""
    if request.scope["state"].get("key") in admins:
        return
    if "origin" in request.headers or any(name in request.headers for name in FORWARDED) or not _is_here(request):
        raise Refused(403, "only this machine, or a key that is named by --admin, may reload.")


def _is_here(request: Request) -> bool:
    with suppress(ValueError):
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    return False


def _asked(request: Request, usual: Demands) -> tuple[str | None, Demands]:
    """The model and what may differ, by the query."""
    query = request.query_params
    for name in query:
        if name not in QUERIES:
            raise Refused(
                400, f"there is no {name[:40]!r}: expected {', '.join(QUERIES)}.{suggest(name[:40], QUERIES)}"
            )
    demands = usual
    if (other := query.get("other_classes")) is not None:
        if other not in ("true", "false"):
            raise Refused(400, f"other_classes is {other[:40]!r}; expected true or false.")
        demands = replace(demands, other_classes=other == "true")
    if (share := query.get("agreement")) is not None:
        demands = replace(demands, agreement=_share(share))
    return query.get("model"), demands


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Refused(400, f"agreement is {text[:40]!r}; expected a share from 0 to 1, such as 0.5.")
    return value


class _BySignal:
    """While an application answers in the main thread of its process, SIGHUP reloads."""

    def __init__(self, reload: Reload, demands: Demands) -> None:
        self._reload, self._demands, self._heeds = reload, demands, False
        self._running: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        with suppress(ValueError, RuntimeError, NotImplementedError, AttributeError):  # a thread, or Windows
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # a worker hears of it from its keeper
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked)
                self._heeds = True

    def __exit__(self, *_: object) -> None:
        if self._heeds:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    def _asked(self) -> None:
        self._running = asyncio.ensure_future(self._done())

    async def _done(self) -> None:
        try:
            await asyncio.to_thread(self._reload, None, self._demands)
        except LinnaeaError as error:
            logger.error(f"Not reloaded: {error}")
