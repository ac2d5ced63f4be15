"""What is being done: a bar on a terminal, elsewhere a line every ten seconds."""

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")
EVERY = 10.0  # seconds between two lines
logger = logging.getLogger("linnaea")


@dataclass
class Work:
    """Something that takes time: how many of its `total` steps are `done` (None: it has none to count)."""

    name: str
    total: int | None = None
    done: int = 0
    bar: bool = False
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        seconds = time.monotonic() - self.started
        if not self.total:
            return f"{self.name}: {seconds:.0f} s so far"
        left = f", about {seconds / self.done * (self.total - self.done):.0f} s left" if self.done else ""
        return f"{self.name}: {self.done:,} of {self.total:,}{left}"


_WORK: list[Work] = []  # what is being done, the innermost last
_HEART = threading.Lock()


@contextmanager
def working(name: str, total: int | None = None, *, bar: bool = False) -> Iterator[Work]:
    """Say every ten seconds that this is being done, for as long as it is; `bar` says that a bar shows it already."""
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
    shown = sys.stderr.isatty()
    with working(description, total, bar=shown) as work:
        for item in _with_bar(items, description, total) if shown else items:
            yield item
            work.done += 1


def _with_bar(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import track as rich_track

    return iter(rich_track(items, description, total, console=Console(stderr=True), transient=True))


def _speak(over: threading.Event) -> None:
    while not over.wait(EVERY):
        told = _told(list(_WORK))
        if told:
            logger.info(told)


def _told(work: list[Work]) -> str:
    """The outermost work that counts its steps, and what it is part of; "" while a bar shows it."""
    counting = next((number for number, part in enumerate(work) if part.total), len(work) - 1)
    if not work or any(part.bar for part in work):
        return ""
    return ", ".join([*(part.name for part in work[:counting]), str(work[counting])])
