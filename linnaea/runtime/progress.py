"""What is being done and the time left: a bar on a terminal, elsewhere a line now and then."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

from linnaea.runtime.duration import spoken

Item = TypeVar("Item")
EVERY = 10.0  # seconds between two lines at first; later a twentieth of the time that has passed
LONGEST = 30  # times as long at the most
GLANCE = 0.5  # seconds between two looks at work that says how far it is
logger = logging.getLogger("linnaea")


@dataclass
class Work:
    """Something that takes time: how many of its `total` steps are `done` (None: it has none to count).

    Or else it tells which `share` of it is done, 0 to 1, and a `detail` besides.
    """

    name: str
    total: int | None = None
    done: int = 0
    bar: bool = False
    started: float = field(default_factory=time.monotonic)
    share: float | None = None
    detail: str = ""
    on_told: Callable[[], None] = lambda: None
    _first: float = 0.0
    _looked: float = -GLANCE

    def tell(self, share: float, detail: Callable[[], str]) -> None:
        """Say how far it is; `detail` is asked for twice a second at the most, as a look at it may take time."""
        now = time.monotonic()
        if now - self._looked < GLANCE:
            return
        if self.share is None:  # what was done before, by a training that was broken off, took no time now
            self._first, self.started = share, now
        self._looked, self.share, self.detail = now, share, detail()
        self.on_told()

    @property
    def counts(self) -> bool:
        """Whether it is known how far it is."""
        return bool(self.total) or self.share is not None

    @property
    def left(self) -> str:
        """About how long it will still take, in words; empty where that cannot be told."""
        done, all_of_it = (self.done, self.total) if self.total else (self.share or 0.0, 1.0)
        if done <= self._first:
            return ""
        seconds = time.monotonic() - self.started
        return f"about {spoken(seconds / (done - self._first) * max(0.0, all_of_it - done))} left"

    def __str__(self) -> str:
        if not self.counts:
            return f"{self.name}: {time.monotonic() - self.started:.0f} s so far"
        told = f"{self.done:,} of {self.total:,}" if self.total else self.detail
        return f"{self.name}: {', '.join(filter(None, [told, self.left]))}"


_WORK: list[Work] = []  # what is being done, the innermost last
_HEART = threading.Lock()


@contextmanager
def working(name: str, total: int | None = None, *, bar: bool = False) -> Iterator[Work]:
    """Say now and then that this is being done, for as long as it is; `bar` says that a bar shows it already."""
    work = Work(name, total, bar=bar)
    _WORK.append(work)
    over = threading.Event()
    if _HEART.acquire(blocking=False):  # the outermost work speaks for all within it
        threading.Thread(target=_speak, args=(over,), daemon=True).start()
        speaks = True
    else:
        speaks = False
    try:
        yield work
    finally:
        _WORK.remove(work)
        if speaks:
            over.set()
            _HEART.release()


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield `items`, showing a bar on standard error when that is a terminal."""
    shown = _may_show_bar()
    with working(description, total, bar=shown) as work:
        for item in _with_bar(items, description, total) if shown else items:
            yield item
            work.done += 1


@contextmanager
def advancing(name: str) -> Iterator[Work]:
    """Work that tells how far it is, with `Work.tell`; on a terminal a bar shows it, with the time left."""
    shown = _may_show_bar()
    with working(name, bar=shown) as work:
        if shown:
            with _bar_of(work):
                yield work
        else:
            yield work


def _may_show_bar() -> bool:
    """Whether standard error is a terminal on which no other bar stands, and this process tells how far it is."""
    return sys.stderr.isatty() and logger.isEnabledFor(logging.INFO) and not any(part.bar for part in _WORK)


def _with_bar(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import track as rich_track

    return iter(rich_track(items, description, total, console=Console(stderr=True), transient=True))


@contextmanager
def _bar_of(work: Work) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(15), TextColumn("{task.fields[left]}"))
    written_to = sys.stderr
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar, _logged_above(written_to):
        task = bar.add_task(work.name, total=1.0, left="")
        work.on_told = lambda: bar.update(
            task, completed=work.share, description=f"{work.name}: {work.detail}", left=work.left
        )
        yield


@contextmanager
def _logged_above(written_to: TextIO) -> Iterator[None]:
    """Let what is logged go where the bar has put standard error, so that it stands above the bar."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is written_to
    ]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(written_to)


def _speak(over: threading.Event) -> None:
    began = time.monotonic()
    while not over.wait(min(max(EVERY, (time.monotonic() - began) / 20), LONGEST * EVERY)):
        told = _told(list(_WORK))
        if told:
            logger.info(told)


def _told(work: list[Work]) -> str:
    """The outermost work that counts its steps, and what it is part of; "" while a bar shows it."""
    counting = next((number for number, part in enumerate(work) if part.counts), len(work) - 1)
    if not work or any(part.bar for part in work):
        return ""
    return ", ".join([*(part.name for part in work[:counting]), str(work[counting])])
