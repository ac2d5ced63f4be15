"""The application: what a server answers to whom, over HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from linnaea.delivery.serving.answering import TOP, Answering, Asked
from linnaea.delivery.serving.canary import client_of
from linnaea.delivery.serving.contract import Explain, Observer, ServedModel, ServedModels
from linnaea.delivery.serving.doorway import Doorway, in_json, request_id, said
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.reading import Receive, body_of, images_in
from linnaea.errors import LinnaeaError, UnavailableError, suggest

JSON = "application/json"
LATER = 5  # seconds after which what is not possible at present may be
QUERIES = ("model", "version", "top", "explain")
AT_ONCE = 256 * 1024  # bytes of a body that are taken apart sooner than a thread is found for it
DESCRIPTION = "Answers for images: label, confidence, prediction set, how unfamiliar, and a reason for each."


def make_application(
    models: ServedModels,
    observers: Sequence[Observer] = (),
    limits: Limits = Limits(),
    more: Sequence[APIRouter] = (),
    *,
    salvage: bool = False,
    explain: Explain | None = None,
) -> FastAPI:
    """The application that answers images by models, tells observers of every answer, and has `more` routes.

    `application.state.answering` is what other routes let images be answered by; `salvage` and `explain` are as there.
    It begins to answer once it is started, and answers what it has accepted before it ends.
    """
    answering = Answering(models, observers, limits, salvage=salvage, explain=explain)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(answering.start)
        yield
        await asyncio.to_thread(answering.close)

    application = FastAPI(title="Linnaea", description=DESCRIPTION, docs_url=None, redoc_url=None, lifespan=lifespan)
    application.state.answering = answering
    application.include_router(_routes(answering, limits))
    for router in more:
        application.include_router(router)
    application.add_exception_handler(Refused, _refused)
    application.add_exception_handler(LinnaeaError, _refused)
    application.add_exception_handler(HTTPException, _refused)
    application.add_exception_handler(RequestValidationError, _refused)
    application.add_middleware(Doorway, answering=answering, limits=limits)
    return application


def _routes(answering: Answering, limits: Limits) -> APIRouter:
    router = APIRouter()

    @router.post("/predict", summary="Answer for images: a file as the body, files in a form, or base64 in JSON.")
    async def predict(request: Request) -> Response:
        asked = asked_by(request, answering.models)
        body = await body_of(request.receive, limits)
        read = partial(images_in, body, request.headers, limits)
        images = read() if len(body) <= AT_ONCE else await answering.decoded(read)
        if asked.explain is not None and len(images) > 1:
            raise Refused(
                400, f"explain is for one image at a time, and there are {len(images)}: ask for each by itself."
            )
        rows = await answering.answers(images, asked, lambda: left(request.receive))
        return response_to(rows, asked)

    return router


def asked_by(request: Request, models: ServedModels) -> Asked:
    """What a request asks for by its query; raises Refused for what cannot be asked for."""
    query = request.query_params
    for name in query:
        if name not in QUERIES:
            raise Refused(
                400,
                f"there is no {name[:40]!r} to ask for: expected {', '.join(QUERIES)}.{suggest(name[:40], QUERIES)}",
            )
    key = request.scope["state"].get("key")
    identity = request_id(request.scope)
    client = client_of(key, request.headers, identity)
    return Asked(
        chosen(models, client, query.get("model"), query.get("version")),
        identity,
        key,
        _number(query.get("top"), TOP),
        query.get("explain") or None,
    )


def chosen(models: ServedModels, client: str, name: str | None, version: str | None) -> ServedModel:
    """The model that is meant; raises Refused where there is none."""
    try:
        return models.chosen(client, name, version)
    except LookupError as error:
        raise Refused(404, str(error)) from None


def _number(given: str | None, usual: int) -> int:
    if given is None:
        return usual
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given[:6]) <= 100_000:
        raise Refused(400, f"top is {given[:40]!r}; expected a number of classes, such as {usual}.")
    return int(given[:6])


async def left(receive: Receive) -> None:
    """Ends when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


def response_to(rows: Sequence[Mapping[str, Any]], asked: Asked) -> Response:
    """The answers to a request, as JSON; an error where no image could be read."""
    facts = {
        "request": asked.request,
        "model": asked.served.name,
        "version": asked.served.version,
        "answers": [_in_text(row) for row in rows],
    }
    if any(row["reason"] != "unreadable" for row in rows):
        return Response(in_json(facts), media_type=JSON)
    error = f"no image could be read: {rows[0]['detail']}."
    return Response(in_json({"error": error, **facts}), 422, media_type=JSON)


def _in_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in types of JSON."""
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in row.items()
    }


async def _refused(request: Request, error: Exception) -> Response:
    """Every error in one form."""
    refused = _as_refused(error)
    return Response(said(refused, request_id(request.scope)), refused.status, refused.headers, JSON)


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, UnavailableError):
        return Refused(503, str(error), retry_after=LATER)
    if isinstance(error, HTTPException):
        return Refused(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return Refused(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.")
    return Refused(404 if isinstance(error, LookupError) else 400, str(error))
