"""From the bytes of images to answers, which are those of `predict`: decoded, batched, told to observers."""

import asyncio
import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from linnaea.arrays import Float64
from linnaea.data.images.looks import looks_of
from linnaea.data.images.pixels import DamagedImageError
from linnaea.decisions import Outputs
from linnaea.delivery.serving.batching import ModelThread, Picture, Ticket, warm
from linnaea.delivery.serving.contract import Answered, Explain, Observer, ServedModel, ServedModels
from linnaea.delivery.serving.drawing import Drawing
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.reading import Given, require_allowed
from linnaea.errors import UnreadableImageError
from linnaea.predictions import Predictions
from linnaea.runtime.machine import available_threads

logger = logging.getLogger("linnaea")
Result = TypeVar("Result")
MOST_WAIT = 30  # seconds after which a client is told to come back, at the most
TOP = 5  # classes that are told of each image


@dataclass(frozen=True)
class Asked:
    """How images are to be answered: by what, for which request, by whose `key`, with how many classes `top`.

    `explain` names a method whose heat map is to come with the answer.
    """

    served: ServedModel
    request: str
    key: str | None = None
    top: int = TOP
    explain: str | None = None


class Answering:
    """What answers images: threads that decode them, one thread for the models, and those who are told.

    `salvage` says that what is left of damaged images is answered, as by `predict --damaged answer`. `explain` makes
    heat maps (None: there are none).
    """

    def __init__(
        self,
        models: ServedModels,
        observers: Sequence[Observer],
        limits: Limits,
        *,
        salvage: bool = False,
        explain: Explain | None = None,
    ) -> None:
        self.models, self.limits, self._observers = models, limits, list(observers)
        self._salvage = salvage
        self._decoders = ThreadPoolExecutor(limits.decoders or available_threads(), "decode")
        self._thread = ModelThread(self._answer, self._left, limits.batch)
        self._drawing = Drawing(explain, self._thread, limits)
        self._empty: dict[str, Outputs] = {}
        self._lock = threading.Lock()
        self._waiting, self._rate = 0, 0.0

    @property
    def waiting(self) -> int:
        """Images that wait for their answer."""
        return self._waiting

    def start(self) -> None:
        """Warm every version of every model, one that is tried on a share of clients too, and begin to answer."""
        for served in self.models:
            self.warm(served)
        self._thread.start()

    def warm(self, served: ServedModel) -> None:
        """Let a model answer a batch of every size before it is asked for."""
        self._empty[served.digest] = warm(served.classifier, self.limits.batch)

    def close(self) -> None:
        """Answer what was accepted, and tell those who were told of answers that there are no more."""
        self._drawing.close()
        self._decoders.shutdown()
        self._thread.close()
        for observer in self._observers:
            observer.close()

    def require_room(self, count: int = 1) -> None:
        """Raise Refused where so many more images would be more than may wait."""
        if count > self.limits.max_queue:  # however long the client waits
            raise Refused(
                413,
                f"the request has {count} images, and at most {self.limits.max_queue} may wait for their answer "
                "(--max-queue): send several.",
            )
        if self._waiting + count > self.limits.max_queue:
            raise Refused(
                503,
                f"{self._waiting} images wait for their answer, and at most {self.limits.max_queue} may "
                "(--max-queue): try again after the seconds in Retry-After.",
                retry_after=self.patience,
            )

    @property
    def patience(self) -> int:
        """Seconds after which what waits now should be answered."""
        return max(1, min(MOST_WAIT, math.ceil(self._waiting / self._rate))) if self._rate else 1

    async def decoded(self, work: Callable[[], Result]) -> Result:
        """What comes of work that is done among that of the decoders, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def answers(
        self, given: Sequence[Given], asked: Asked, gone: Callable[[], Coroutine[Any, Any, object]] | None = None
    ) -> list[dict[str, Any]]:
        """A row of `predict` for each image, with `top`, its likeliest classes.

        `gone()` ends when nobody waits any more: then, and where they take too long, what is queued is dropped. Raises
        Refused, also where too many wait.
        """
        if asked.explain is None:
            return await self._answers(given, asked, gone)
        with self._drawing.place():
            await self._drawing.require(asked.served.classifier, asked.explain)  # sooner than its answer is logged
            return await self._answers(given, asked, gone)

    async def _answers(
        self, given: Sequence[Given], asked: Asked, gone: Callable[[], Coroutine[Any, Any, object]] | None
    ) -> list[dict[str, Any]]:
        self.require_room(len(given))
        done = asyncio.get_running_loop().create_future()
        ticket = Ticket(asked.served, asked.request, asked.key, asked.top, done, len(given))
        pictures = [Picture(ticket, place, one.name, one.content, one.pixels) for place, one in enumerate(given)]
        with self._lock:
            self._waiting += len(pictures)
        for picture in pictures:
            self._decoders.submit(self._prepare, picture)
        await self._awaited(ticket, pictures, gone)
        for picture in pictures if asked.explain is not None else ():
            if picture.pixels is not None and picture.answer is not None:
                drawn = self._drawing.drawn(asked.served.classifier, picture.pixels, str(asked.explain))
                picture.answer["explanation"] = await drawn
        return [picture.answer or {} for picture in pictures]

    async def _awaited(
        self, ticket: Ticket, pictures: Sequence[Picture], gone: Callable[[], Coroutine[Any, Any, object]] | None
    ) -> None:
        """Wait until all are answered, time is up, or nobody waits."""
        watched: set[asyncio.Future[Any]] = {ticket.done}
        if gone is not None:
            watched.add(asyncio.create_task(gone()))
        try:
            await asyncio.wait(watched, timeout=self.limits.answer_time, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not ticket.done.done():
                ticket.dropped = True
            for other in watched - {ticket.done}:
                other.cancel()
        if ticket.done.done():
            ticket.done.result()
        elif any(other.done() and not other.cancelled() for other in watched):
            raise Refused(499, "the client left before it was answered.")
        else:
            raise self._too_slow(pictures)

    def _too_slow(self, pictures: Sequence[Picture]) -> Refused:
        stuck = [one.place for one in pictures if one.began is not None and one.pixels is None and one.failed is None]
        seconds = f"{self.limits.answer_time:g} seconds (--answer-time)"
        if stuck:
            return Refused(422, f"image {stuck[0]} takes longer than {seconds} to decode: send a smaller one.")
        return Refused(503, f"there was no answer within {seconds}: try again later.", retry_after=self.patience)

    def _prepare(self, picture: Picture) -> None:
        """In one of the decoders: decode what is still waited for, and queue it."""
        if picture.ticket.dropped:
            self._left(1)
            return
        picture.began = time.perf_counter()
        try:
            if picture.content is not None:
                self._decode(picture, picture.content)
            if self._observers:
                self._look_at(picture)
        except Exception as error:  # a request must not hang, whatever a decoder trips over
            logger.exception("An image could not be decoded.")
            self._left(1)
            picture.ticket.failed(error)
            return
        self._thread.put(picture)

    def _decode(self, picture: Picture, content: bytes) -> None:
        """As `predict` decodes, refused where `predict` refuses."""
        try:
            require_allowed(content, self.limits.formats)
            picture.pixels, picture.sha256 = picture.ticket.served.classifier.recipe.decode(content)
        except DamagedImageError as error:
            if self._salvage:
                picture.pixels, picture.damaged = error.pixels, error.damage
            else:
                picture.failed = str(error)
        except UnreadableImageError as error:
            picture.failed = str(error)

    def _look_at(self, picture: Picture) -> None:
        """What observers are told of the image itself."""
        pixels, content = picture.pixels, picture.content
        if pixels is not None:
            picture.looks = looks_of(pixels, content, picture.ticket.served.classifier.recipe.max_pixels)
        if picture.sha256 is None:
            seen = content if content is not None else b"" if pixels is None else pixels.tobytes()
            picture.sha256 = hashlib.sha256(seen).hexdigest()

    def _left(self, count: int) -> None:
        """So many images wait no more."""
        with self._lock:
            self._waiting -= count

    def _answer(self, batch: Sequence[Picture]) -> None:
        """In the thread of the model: score, decide, tell, and let the clients be answered."""
        started = time.perf_counter()
        try:
            logits = self._predicted(batch)
            if self._observers:
                self._tell(batch, logits)
        finally:
            self._left(len(batch))
        spent = max(1e-4, time.perf_counter() - started)
        self._rate += 0.2 * (len(batch) / spent - self._rate)
        for ticket in dict.fromkeys(picture.ticket for picture in batch):
            ticket.finished(sum(picture.ticket is ticket for picture in batch))

    def _predicted(self, batch: Sequence[Picture]) -> Float64:
        """Give each picture its answer; readable ones come first. Returns their logits (B, K)."""
        served = batch[0].ticket.served
        pixels = [picture.pixels for picture in batch if picture.pixels is not None]
        outputs = served.classifier.score(np.stack(pixels)) if pixels else self._nothing(served)
        missing = len(batch) - len(pixels)
        outputs = outputs.lengthened(missing) if missing else outputs
        columns: dict[str, Sequence[Any]] = {"id": [one.name for one in batch], "truth": [None] * len(batch)}
        predictions = served.classifier.answer(outputs, columns, [one.failed for one in batch]).with_reason(
            "damaged", {row: one.damaged for row, one in enumerate(batch) if one.damaged is not None}
        )
        for picture, row, likeliest in zip(batch, predictions, _likeliest(predictions, batch), strict=True):
            picture.answer = row | {"top": likeliest}
        return predictions.scores("logits")

    def _nothing(self, served: ServedModel) -> Outputs:
        if served.digest not in self._empty:
            self.warm(served)
        return self._empty[served.digest]

    def _tell(self, batch: Sequence[Picture], logits: Float64) -> None:
        now, clock = time.time(), time.perf_counter()
        told = [_told(picture, row, now, clock) for picture, row in zip(batch, logits, strict=True)]
        for observer in self._observers:
            observer.answered(told)


def _told(picture: Picture, logits: Float64, now: float, clock: float) -> Answered:
    """What those are told who are told of answers."""
    ticket = picture.ticket
    return Answered(
        request=ticket.request,
        place=picture.place,
        time=now,
        model=ticket.served.name,
        version=ticket.served.version,
        digest=ticket.served.digest,
        answer={name: value for name, value in (picture.answer or {}).items() if name not in ("id", "top")},
        key=ticket.key,
        sha256=picture.sha256,
        image=picture.content,
        logits=() if np.isnan(logits).any() else tuple(logits.tolist()),
        looks=picture.looks,
        seconds=clock - ticket.arrived,
    )


def _likeliest(predictions: Predictions, batch: Sequence[Picture]) -> list[list[dict[str, Any]]]:
    """The likeliest classes of each picture with their probabilities; none of one without an answer."""
    scores, classes = predictions.scores(), predictions.classes
    most = max(picture.ticket.top for picture in batch)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    return [
        []
        if np.isnan(row).any()
        else [{"label": classes[k], "probability": float(row[k])} for k in places[: picture.ticket.top]]
        for picture, row, places in zip(batch, scores, order, strict=True)
    ]
