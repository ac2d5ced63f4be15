"""The layers around an application: who may ask, how often, what is said with every answer, counted and logged."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from linnaea.delivery.serving.guard import Guard
from linnaea.delivery.serving.headers import SecurityHeaders
from linnaea.delivery.serving.keys import Keys
from linnaea.delivery.serving.logs import RequestLog
from linnaea.delivery.serving.metrics import Metrics, RequestMetrics
from linnaea.delivery.serving.rates import Rates

ASKING_HEADERS = ("Authorization", "Content-Type", "X-API-Key")
ANSWERING_HEADERS = ("Retry-After", "X-Request-ID")


def surround(
    application: FastAPI,
    *,
    metrics: Metrics,
    keys: Keys | None = None,
    rates: Rates | None = None,
    origins: Sequence[str] = (),
    local: bool = False,
) -> FastAPI:
    """Put the layers around an application, from the inside out; what is refused by one is counted and logged too.

    Without `keys` everybody may ask, without `rates` as often as they like; `origins` are those whose pages may.
    `local` says that the server is bound to an address of this machine alone.
    """
    application.add_middleware(Guard, keys=keys, rates=rates, local=local)
    if origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=list(ASKING_HEADERS),
            expose_headers=list(ANSWERING_HEADERS),
        )
    application.add_middleware(SecurityHeaders, shared=bool(origins))
    application.add_middleware(RequestMetrics, metrics=metrics)
    application.add_middleware(RequestLog)
    return application
