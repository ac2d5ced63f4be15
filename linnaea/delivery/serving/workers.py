"""Several processes that answer on one socket, and the one that starts them, replaces them and lets all switch at once.

uvicorn's own supervisor looks every half second whether its processes live, imports everything anew for each, and
restarts all of them to reload. This one is told at once, forks processes that have all imports already, and passes word
between them: of a reload each first prepares what it has to, and only if all could, all switch.
"""

import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from linnaea.delivery.serving.post import Post
from linnaea.errors import LinnaeaError, UsageError

Work = Callable[[Post], None]
Staged = Mapping[str, str]  # where a copy of what each source holds lies
QUICK = 5.0  # seconds: a process that ends sooner is not replaced at once, but after a while that grows
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
PREPARING = 300.0  # seconds in which a reload must be prepared by all
MARGIN = 5.0  # seconds that a process has to end after those it may take to answer
HEEDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if hasattr(os, "fork") else ()
FAILED = 3  # the exit status of a process that could not begin, as of uvicorn
logger = logging.getLogger("linnaea")


@dataclass
class Slot:
    """The place of one process: the channel to it, since when it runs, and whether it answers."""

    number: int
    process: BaseProcess
    channel: connection.Connection
    started: float
    generation: int
    ready: bool = False

    def send(self, message: Mapping[str, Any]) -> None:
        """Pass word; one that is gone does not hear it."""
        with suppress(OSError):
            self.channel.send_bytes(json.dumps(message).encode())


@dataclass
class Change:
    """A reload on its way: who asked, what is to be loaded, whose answer is waited for, and why it cannot be."""

    asker: int
    order: Mapping[str, Any]
    until: float
    waiting: set[int] = field(default_factory=set)
    switching: bool = False
    refused: str = ""
    told: Any = None


class Workers:
    """Keeps `count` processes at work; `work` is what each does, until it is told to end.

    `staged` is what they load at first, `drain` the seconds in which they have to answer what they accepted, and
    `buried` is called with the number of every process that has ended.
    """

    def __init__(
        self,
        work: Work,
        count: int,
        staged: Staged,
        *,
        drain: float,
        bound: Sequence[socket.socket] = (),
        buried: Callable[[int], object] = lambda process: None,
    ) -> None:
        require_forks(count)
        self._work, self._count, self._staged, self._drain = work, count, dict(staged), drain
        self._bound, self._buried = list(bound), buried
        self._slots: dict[int, Slot] = {}
        self._pauses: dict[int, tuple[float, float]] = {}  # until when a place stays empty, and how long that was
        self._change: Change | None = None
        self._generation, self._answered, self._failure = 0, False, ""
        self._stopping: float | None = None
        self._signals, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._signals, False)

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C, and until all that was accepted is answered.

        Raises LinnaeaError, with what a process said, where none ever came to answer.
        """
        before = {number: signal.signal(number, self._noted) for number in HEEDED}
        wakeup = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            for number in range(1, self._count + 1):
                self._start(number)
            while self._slots or self._stopping is None:
                self._step()
        finally:
            for slot in self._slots.values():
                slot.process.kill()
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._signals)
            os.close(self._wake)
        if self._failure:
            raise LinnaeaError(self._failure)

    def _step(self) -> None:
        """Wait until something happens, and do what is to be done."""
        watched: list[Any] = [self._signals]
        for slot in self._slots.values():
            watched += [slot.process.sentinel, slot.channel]
        happened = set(connection.wait(watched, self._patience()))
        if self._signals in happened:
            self._heed()
        for slot in list(self._slots.values()):
            if slot.channel in happened:
                self._listen(slot)
            if slot.process.sentinel in happened:
                self._bury(slot)
        self._advance()
        self._fill()

    def _patience(self) -> float | None:
        """Seconds until something is due."""
        due = [until for number, (until, _) in self._pauses.items() if number not in self._slots]
        due += [self._change.until] if self._change is not None else []
        due += [self._stopping] if self._stopping is not None else []
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start(self, number: int) -> None:
        context = get_context("fork")
        ours, theirs = context.Pipe()
        others = [slot.channel for slot in self._slots.values()]
        post = Post(number, self._count, dict(self._staged), theirs)
        process = context.Process(target=self._child, args=(post, [ours, *others]), name=f"worker-{number}")
        with _held_back():  # until the child no longer has our handlers
            process.start()
        theirs.close()
        self._slots[number] = Slot(number, process, ours, time.monotonic(), self._generation)

    def _child(self, post: Post, others: Sequence[connection.Connection]) -> None:
        """In the new process: leave behind what is the parent's, and work."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)
        for channel in others:  # each would keep the end of its process from being noticed
            channel.close()
        os.close(self._signals)
        os.close(self._wake)
        try:
            self._work(post)
        except KeyboardInterrupt:
            return
        except LinnaeaError as error:
            post.failed(str(error))
            raise SystemExit(FAILED) from None

    def _noted(self, number: int, _: FrameType | None) -> None:
        """The number of a signal stands in the pipe by now."""

    def _heed(self) -> None:
        for number in os.read(self._signals, 64):
            if number == signal.SIGHUP:
                asked = next((slot for slot in self._slots.values() if slot.ready), None)
                if asked is not None:
                    asked.send({"do": "reload"})
            elif self._stopping is None:
                self._stop()
            elif number == signal.SIGINT:  # for the second time
                self._kill()

    def _stop(self) -> None:
        """Let all answer what they accepted, and end; nobody new is listened to."""
        self._stopping = time.monotonic() + self._drain + MARGIN
        self._pauses.clear()
        for slot in self._slots.values():
            slot.process.terminate()
        for bound in self._bound:
            bound.close()

    def _kill(self) -> None:
        for slot in self._slots.values():
            slot.process.kill()

    def _listen(self, slot: Slot) -> None:
        """What a process says; one that is gone says nothing more."""
        try:
            while slot.channel.poll():
                self._take(slot, json.loads(slot.channel.recv_bytes()))
        except (EOFError, OSError):
            return

    def _take(self, slot: Slot, message: Mapping[str, Any]) -> None:
        change, said = self._change, message["said"]
        if said == "ready":
            self._is_ready(slot)
        elif said == "failed":
            self._failure = str(message["error"])
        elif said == "reload":
            self._begin(slot, message)
        elif change is not None and said in ("prepared", "refused", "switched"):
            change.waiting.discard(slot.number)
            change.refused = change.refused or str(message.get("error", ""))
            change.told = message.get("told") or change.told

    def _is_ready(self, slot: Slot) -> None:
        """It answers; what was prepared meanwhile by the others, it prepares too."""
        slot.ready = self._answered = True
        if slot.generation != self._generation:  # it loaded what the others have left behind
            slot.process.terminate()
        elif self._change is not None and not self._change.switching:
            self._change.waiting.add(slot.number)
            slot.send(self._change.order)

    def _begin(self, slot: Slot, message: Mapping[str, Any]) -> None:
        """Let all prepare what one of them has found."""
        if self._change is not None or self._stopping is not None:
            slot.send({"do": "told", "error": "another reload is going on, or the server ends: try again later."})
            return
        order = {"do": "prepare", "staged": message["staged"], "demands": message["demands"]}
        self._change = Change(slot.number, order, time.monotonic() + PREPARING)
        for other in self._slots.values():
            if other.ready:
                self._change.waiting.add(other.number)
                other.send(order)

    def _advance(self) -> None:
        """Once all have prepared, let all switch; once all have switched, say so to who asked."""
        change = self._change
        if change is None:
            return
        if change.waiting and time.monotonic() < change.until:
            return
        if change.waiting and not change.switching:
            change.refused = change.refused or f"it was not prepared within {PREPARING:g} seconds."
        if change.refused:
            self._tell({"do": "forget"}, change, error=change.refused)
        elif not change.switching:
            change.switching, change.until = True, time.monotonic() + PREPARING
            self._staged.update(change.order["staged"])
            self._generation += 1
            for slot in self._slots.values():
                if slot.ready:
                    slot.generation = self._generation
                    change.waiting.add(slot.number)
                    slot.send({"do": "switch"})
        else:
            self._tell(None, change, told=change.told)

    def _tell(self, everyone: Mapping[str, Any] | None, change: Change, **what: Any) -> None:
        self._change = None
        for slot in self._slots.values():
            if everyone is not None:
                slot.send(everyone)
            if slot.number == change.asker:
                slot.send({"do": "told", "staged": self._staged, **what})

    def _bury(self, slot: Slot) -> None:
        """A process has ended: unless all shall, another takes its place."""
        slot.process.join()
        self._listen(slot)  # its last words
        slot.channel.close()
        del self._slots[slot.number]
        self._buried(slot.process.pid or 0)
        if self._change is not None:
            self._change.waiting.discard(slot.number)
        if self._stopping is not None:
            return
        if not self._answered:
            self._failure = self._failure or f"a worker ended with the status {slot.process.exitcode} as it began."
            self._stop()
            return
        why, self._failure = self._failure or _end_of(slot), ""
        logger.error(f"Worker {slot.number} (process {slot.process.pid}) ended ({why}): another is started.")
        quick = time.monotonic() - slot.started < QUICK and not slot.ready
        pause = self._pauses.get(slot.number, (0.0, 0.0))[1]
        pause = min(LONGEST_PAUSE, 2 * pause or FIRST_PAUSE) if quick else 0.0
        self._pauses[slot.number] = (time.monotonic() + pause, pause)

    def _fill(self) -> None:
        """Start what is due; where the time for ending is over, end it."""
        now = time.monotonic()
        if self._stopping is not None:
            if now >= self._stopping and self._slots:
                logger.error("Not all was answered in time (--drain-time): the rest is cut off.")
                self._kill()
                self._stopping = now + MARGIN
            return
        for number, (until, _) in list(self._pauses.items()):
            if number in self._slots:
                if self._slots[number].ready:
                    del self._pauses[number]
            elif now >= until:
                self._start(number)


class Shared(socket.socket):
    """A listening socket of several processes, of which each takes one connection at a time, so that all get some.

    An event loop would take all that wait, and the others find none.
    """

    _taken = False

    def accept(self) -> tuple[socket.socket, Any]:
        """One that waits; every second time there is said to be none."""
        if self._taken:
            self._taken = False
            raise BlockingIOError
        found = super().accept()
        self._taken = True
        return found


def shared(bound: socket.socket) -> Shared:
    """The socket, as one of several processes accepts on it."""
    return Shared(fileno=os.dup(bound.fileno()))


@contextmanager
def _held_back() -> Iterator[None]:
    """Signals come a little later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEEDED)


def require_forks(count: int) -> None:
    """Raise UsageError for several processes where a process cannot be divided."""
    if count > 1 and not hasattr(os, "fork"):
        raise UsageError(f"workers is {count}, and this system cannot divide a process: start several servers instead.")


def _leave(number: int, _: FrameType | None) -> None:
    """A process that is told to end before it answers closes what it has opened."""
    raise SystemExit(128 + number)


def _end_of(slot: Slot) -> str:
    code = slot.process.exitcode or 0
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with the status {code}"
