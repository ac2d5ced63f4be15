"""Answers that could not be logged, until that can be said in the log itself."""

import time
from typing import Any

from linnaea.delivery.serving.audit_log.lines import told_time
from linnaea.runtime.words import counted

SAID_EVERY = 60.0  # seconds between two words on a failure that lasts


class Unlogged:
    """How many they are, since when, and why; what became of them: "refused" or "given"."""

    def __init__(self) -> None:
        self.count, self._since, self._until = 0, 0.0, 0.0
        self._outcome, self._reason = "", ""
        self._said = float("-inf")

    def add(self, count: int, now: float, outcome: str, reason: str) -> bool:
        """Further answers; whether it is time to say so."""
        self._since = self._since if self.count else now
        self.count, self._until, self._outcome, self._reason = self.count + count, now, outcome, reason
        say = time.monotonic() - self._said >= SAID_EVERY
        self._said = time.monotonic() if say else self._said
        return say

    def clear(self) -> None:
        """All was logged, this too."""
        self.count, self._said = 0, float("-inf")

    def event(self) -> dict[str, Any]:
        """What is logged of them."""
        since, until = told_time(self._since), told_time(self._until)
        told = f"{counted(self.count, 'answer was', 'answers were')} {self._outcome} and not logged"
        return {
            "event": "not_logged",
            "answers": self.count,
            "outcome": self._outcome,
            "since": since,
            "until": until,
            "detail": f"{told} from {since} to {until} ({self._reason})",
        }
