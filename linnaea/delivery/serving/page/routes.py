"""Where the page and its corrections are: `/`, `/page/...` and `/corrections`."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from linnaea.delivery.serving.canary import client_of
from linnaea.delivery.serving.contract import ServedModels
from linnaea.delivery.serving.doorway import request_id
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.multipart import parts_in
from linnaea.delivery.serving.page.corrections import FIELDS, Correction, Corrections, require_same_site
from linnaea.delivery.serving.page.facts import Explains, facts_of
from linnaea.delivery.serving.page.files import INDEX, POLICY, files
from linnaea.delivery.serving.reading import body_of

MOST_LABELS = 1_000  # in one form


def page_router(
    models: ServedModels,
    limits: Limits,
    *,
    explains: Explains = lambda classifier: None,
    corrections: Corrections | None = None,
    keeps: bool = False,
) -> APIRouter:
    """The page at `/`, and POST and DELETE of `/corrections`, which are refused where there are none.

    `explains` names the method of heat maps for a classifier; `keeps` says that the server keeps images, which the
    page then says.
    """
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def index() -> Response:
        return _file(INDEX)

    @router.get("/page/facts", summary="What the models know, and what the server takes.")
    async def facts(request: Request) -> Response:
        told = await run_in_threadpool(facts_of, models, limits, _client(request), explains)
        return JSONResponse(told | {"review": corrections is not None, "keeps": keeps})

    @router.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return _file(name)

    router.include_router(_corrections_router(corrections, limits))
    return router


def _file(name: str) -> Response:
    if name not in files():
        raise Refused(404, f"the page has no file {name[:60]!r}.")
    content, kind = files()[name]
    return Response(content, media_type=kind, headers={"content-security-policy": POLICY, "cache-control": "no-cache"})


def _corrections_router(corrections: Corrections | None, limits: Limits) -> APIRouter:
    router = APIRouter()

    def wanted(request: Request) -> Corrections:
        if corrections is None:
            raise Refused(404, "this server takes no corrections: start it with --review FOLDER.")
        require_same_site(request.headers)
        return corrections

    @router.post("/corrections", summary="File an image with its right label for review, as a form.")
    async def correct(request: Request) -> Response:
        kept = wanted(request)
        body = await body_of(request.receive, limits)
        parts = parts_in(body, request.headers.get("content-type", ""), MOST_LABELS + len(FIELDS))
        return JSONResponse(await run_in_threadpool(kept.file, Correction.read(parts), _client(request)))

    @router.delete("/corrections/{sha256}", summary="Take back the last correction of an image.")
    async def undo(request: Request, sha256: str) -> Response:
        kept, asked = wanted(request), request.query_params.get("request", "")
        return JSONResponse(await run_in_threadpool(kept.undo, sha256, asked))

    return router


def _client(request: Request) -> str:
    """Who asks, as models are chosen for them."""
    return client_of(request.scope["state"].get("key"), request.headers, request_id(request.scope))
