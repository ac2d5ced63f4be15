"""The last answers of a server, so that a correction knows which answer was wrong."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.delivery.serving.contract import Answered

KEPT = 10_000  # answers, a few hundred bytes each


@dataclass(frozen=True)
class Was:
    """An answer that was given: of which image, by its SHA-256, and what it said."""

    sha256: str | None
    label: Any
    confidence: float | None
    reason: str


class Recent:
    """An observer that keeps the last answers in memory, by request and place; `kept` of them."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._answers: OrderedDict[tuple[str, int], Was] = OrderedDict()

    def answered(self, batch: Sequence[Answered]) -> None:
        """Keep these, and forget the oldest."""
        with self._lock:
            for one in batch:
                told = one.answer
                was = Was(one.sha256, told.get("label"), told.get("confidence"), str(told.get("reason") or ""))
                self._answers[one.request, one.place] = was
            while len(self._answers) > self._kept:
                self._answers.popitem(last=False)

    def find(self, request: str, place: int) -> Was | None:
        """The answer, if it is among the last ones."""
        with self._lock:
            return self._answers.get((request, place))

    def close(self) -> None:
        """There is nothing to bring to an end."""
