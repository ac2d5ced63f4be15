"""One thread for the model, which takes whatever is queued whenever it is free: batches without waiting for any."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.decisions import Outputs
from linnaea.delivery.serving.contract import ServedModel
from linnaea.errors import UnavailableError

logger = logging.getLogger("linnaea")
Result = TypeVar("Result")
Job = tuple[Callable[[], Any], "Future[Any]"]


@dataclass(eq=False)
class Ticket:
    """One request on its way: what answers it, who asked, how many of its images wait for their answer.

    `done` is set in the event loop when none does, or with the error that stands in their way. One that is `dropped`
    is asked for by nobody any more, and its images are passed over.
    """

    served: ServedModel
    request: str
    key: str | None
    top: int
    done: "asyncio.Future[None]"
    waiting: int
    arrived: float = field(default_factory=time.perf_counter)
    dropped: bool = False

    def finished(self, count: int) -> None:
        """So many of its images were answered; from any thread."""
        self.waiting -= count
        if self.waiting <= 0:
            self._tell(None)

    def failed(self, error: Exception) -> None:
        """It cannot be answered; from any thread."""
        self.dropped = True
        self._tell(error)

    def _tell(self, error: Exception | None) -> None:
        loop = self.done.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


@dataclass(eq=False)
class Picture:
    """One image of a request, from its bytes to its answer.

    `content` are the bytes of a file; None where `pixels` (S, S, C) were given as such. `failed` says why it could not
    be read, `damaged` what is wrong with one that is answered all the same. `began` is when its decoding did.
    """

    ticket: Ticket
    place: int
    name: str
    content: bytes | None
    pixels: Images | None = None
    sha256: str | None = None
    failed: str | None = None
    damaged: str | None = None
    looks: dict[str, float] = field(default_factory=dict)
    began: float | None = None
    answer: dict[str, Any] | None = None


def buckets(most: int) -> tuple[int, ...]:
    """The sizes of batches: powers of two up to `most`, and that."""
    return (*(2**power for power in range(most.bit_length()) if 2**power < most), most)


def warm(classifier: Classifier, most: int) -> Outputs:
    """Let a classifier answer a batch of every size once, so that no client waits for what is only done at first.

    Returns outputs of no image (0, K), which those of images that could not be read are made of.
    """
    grey = np.full((most, *classifier.recipe.shape), 128, dtype=np.uint8)
    for count in buckets(most):
        outputs = classifier.score(grey[:count])
    empty = [None if part is None else part[:0] for part in (outputs.ood_scores, outputs.uncertainty)]
    return Outputs(outputs.raw[:0], outputs.logits[:0], outputs.probabilities[:0], *empty)


class ModelThread:
    """The thread in which models compute, and its queue of pictures and of other jobs.

    A batch holds pictures for one model, those that have waited longest: as many as there are, down to the next size of
    `buckets`. `answer` is told each batch, `passed` how many pictures nobody waits for any more.
    """

    def __init__(self, answer: Callable[[Sequence[Picture]], None], passed: Callable[[int], None], most: int) -> None:
        self._answer, self._passed, self._sizes = answer, passed, buckets(most)
        self._waiting: deque[Picture] = deque()
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Begin to take what is queued."""
        self._thread.start()

    def put(self, picture: Picture) -> None:
        """Queue a picture that is decoded, or known to be unreadable."""
        with self._changed:
            self._waiting.append(picture)
            self._changed.notify()

    def run(self, work: Callable[[], Result]) -> "Future[Result]":
        """Do something else in this thread, between two batches."""
        future: Future[Result] = Future()
        with self._changed:
            self._jobs.append((work, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Answer what is queued, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        jobs_turn = False
        while True:
            with self._changed:
                while not (self._waiting or self._jobs or self._closed):
                    self._changed.wait()
                if not (self._waiting or self._jobs):
                    return
                job = self._jobs.popleft() if self._jobs and (jobs_turn or not self._waiting) else None
                batch = self._taken() if job is None else []
            jobs_turn = job is None
            if job is not None:
                _do(job)
            elif batch:
                self._answered(batch)

    def _answered(self, batch: Sequence[Picture]) -> None:
        try:
            self._answer(batch)
        except Exception as error:  # the thread must outlive whatever went wrong
            if not isinstance(error, UnavailableError):  # who raises that has said it
                logger.exception("A batch could not be answered.")
            for ticket in {picture.ticket for picture in batch}:
                ticket.failed(error)

    def _taken(self) -> list[Picture]:
        """The next batch; the lock is held."""
        there = [picture for picture in self._waiting if not picture.ticket.dropped]
        self._passed(len(self._waiting) - len(there))
        if not there:
            self._waiting.clear()
            return []
        mine = [picture for picture in there if picture.ticket.served is there[0].ticket.served]
        readable = [picture for picture in mine if picture.pixels is not None]
        count = max((size for size in self._sizes if size <= len(readable)), default=0)
        batch = readable[:count] + [picture for picture in mine if picture.pixels is None]
        taken = set(map(id, batch))
        self._waiting = deque(picture for picture in there if id(picture) not in taken)
        return batch


def _do(job: Job) -> None:
    work, future = job
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  it is raised where it is waited for
        future.set_exception(error)
