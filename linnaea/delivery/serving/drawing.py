"""Heat maps beside answers: drawn in threads of their own, which ask that of the model for one piece at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    """What draws heat maps, a few at a time; `explain` None: nothing does.

    A method that asks for hundreds of answers leaves the model to others between any two of its batches.
    """

    def __init__(self, explain: Explain | None, model: ModelThread, limits: Limits) -> None:
        self._explain, self._model, self._limits = explain, model, limits
        self._hands = ThreadPoolExecutor(MOST, "draw")
        self._ended = threading.Event()
        self._waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who wait for a heat map; raises Refused where nothing draws, or too many wait."""
        self._there()
        if self._waiting >= MOST:
            raise Refused(503, f"{self._waiting} heat maps are waited for: try again later.", retry_after=1)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def require(self, classifier: Classifier, method: str) -> None:
        """Raise Refused where nothing draws, or the method cannot explain the classifier."""
        explain, over = self._there(), threading.Event()
        with self._refusing(method, "there was no answer"):
            await self._in_time(
                asyncio.wrap_future(self._asked(over, partial(explain.require, classifier, method))), over
            )

    async def drawn(self, classifier: Classifier, pixels: Images, method: str) -> bytes:
        """A heat map over an image (S, S, C); raises Refused where it cannot be made, or takes too long."""
        explain, over = self._there(), threading.Event()

        def between(work: Callable[[], Result]) -> Result:
            return self._asked(over, work).result()

        call = partial(explain.draw, classifier, pixels, method, between)
        with self._refusing(method, f"{method} was not done"):
            return await self._in_time(asyncio.get_running_loop().run_in_executor(self._hands, call), over)

    def close(self) -> None:
        """Give up what is being drawn."""
        self._ended.set()
        self._hands.shutdown()

    def _there(self) -> Explain:
        if self._explain is None:
            raise Refused(400, "this server makes no heat maps: leave explain out.")
        return self._explain

    def _asked(self, over: threading.Event, work: Callable[[], Result]) -> "Future[Result]":
        """Work for the thread of the model, which is passed over once nobody waits for it."""

        def wanted() -> Result:
            if over.is_set() or self._ended.is_set():
                raise _NobodyWaitsError
            return work()

        return self._model.run(wanted)

    async def _in_time(self, work: "asyncio.Future[Result]", over: threading.Event) -> Result:
        try:
            return await asyncio.wait_for(work, self._limits.answer_time)
        finally:
            over.set()

    @contextmanager
    def _refusing(self, method: str, late: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            seconds = f"{self._limits.answer_time:g} seconds (--answer-time)"
            told = f"{late} within {seconds}: the model is busy, or the method takes long."
            raise Refused(503, f"{told} Try again, or choose another.", retry_after=1) from None
        except _NobodyWaitsError:
            raise Refused(503, "the server ended before the heat map was drawn: try again.", retry_after=1) from None
        except LinnaeaError as error:
            raise Refused(400, f"explain is {method!r}: {error}") from None


class _NobodyWaitsError(Exception):
    """Whoever asked for a heat map waits no more."""
