"""Heat maps beside answers: drawn in a thread of their own, which asks that of the model for one piece at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.delivery.serving.batching import ModelThread
from linnaea.delivery.serving.contract import Explain
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.errors import LinnaeaError

Result = TypeVar("Result")
MOST = 4  # heat maps that may be waited for


class Drawing:
    """What draws heat maps, one after the other; `explain` None: nothing does.

    A method that asks for hundreds of answers leaves the model to others between any two of its batches.
    """

    def __init__(self, explain: Explain | None, model: ModelThread, limits: Limits) -> None:
        self._explain, self._model, self._limits = explain, model, limits
        self._hand = ThreadPoolExecutor(1, "draw")
        self._ended = threading.Event()
        self._waiting = 0

    async def require(self, classifier: Classifier, method: str) -> None:
        """Raise Refused where nothing draws, many wait for it, or the method cannot explain the classifier."""
        explain = self._there()
        with self._refusing(method):
            await self._in_time(asyncio.wrap_future(self._model.run(partial(explain.require, classifier, method))))

    async def drawn(self, classifier: Classifier, pixels: Images, method: str) -> bytes:
        """A heat map over an image (S, S, C); raises Refused where it cannot be made, or takes too long."""
        explain, over = self._there(), threading.Event()

        def between(work: Callable[[], Result]) -> Result:
            if over.is_set() or self._ended.is_set():
                raise _NobodyWaitsError
            result: Result = self._model.run(work).result()
            return result

        call = partial(explain.draw, classifier, pixels, method, between)
        self._waiting += 1
        try:
            with self._refusing(method):
                return await self._in_time(asyncio.get_running_loop().run_in_executor(self._hand, call))
        finally:
            self._waiting -= 1
            over.set()

    def close(self) -> None:
        """Give up what is being drawn."""
        self._ended.set()
        self._hand.shutdown()

    def _there(self) -> Explain:
        if self._explain is None:
            raise Refused(400, "this server makes no heat maps: leave explain out.")
        if self._waiting >= MOST:
            raise Refused(503, f"{self._waiting} heat maps are waited for: try again later.", retry_after=1)
        return self._explain

    async def _in_time(self, work: "asyncio.Future[Result]") -> Result:
        return await asyncio.wait_for(work, self._limits.answer_time)

    @contextmanager
    def _refusing(self, method: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            seconds = f"{self._limits.answer_time:g} seconds (--answer-time)"
            raise Refused(503, f"{method} took longer than {seconds}: choose another method.", retry_after=1) from None
        except _NobodyWaitsError:
            raise Refused(503, "the server ended before the heat map was drawn: try again.", retry_after=1) from None
        except LinnaeaError as error:
            raise Refused(400, f"explain is {method!r}: {error}") from None


class _NobodyWaitsError(Exception):
    """Whoever asked for a heat map waits no more."""
