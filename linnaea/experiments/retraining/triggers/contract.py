"""The contract of a retraining trigger: whether it is time to train a run again, and why.

    @TRIGGERS.register("labels", title="Label budget", meaning="...", order=30)
    class Labels:
        @staticmethod
        def read(given: str) -> int: ...

        @staticmethod
        def judge(signs: Signs, asked: int) -> Called: ...

`read` makes of what follows the colon, "" where nothing does, what was asked; it raises UsageError for other words.
`judge` looks at the signs and says whether it calls, in a sentence that holds its figures. What is not known does not
call, and the sentence says what is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from linnaea.finding import Finding
from linnaea.registry import Registry
from linnaea.run import Run


@dataclass(frozen=True)
class Signs:
    """What is known when a run is looked at: what monitoring found, and how many labels are new to the run.

    `monitored` and `labels` are None where nobody monitored, and where nothing was reviewed. `now` has a time zone.
    """

    run: Run
    now: datetime
    monitored: Sequence[Finding] | None = None
    labels: int | None = None


@dataclass(frozen=True)
class Called:
    """Whether a trigger calls for a training, and the sentence that says why, or why not."""

    calls: bool
    because: str


class Trigger(Protocol):
    """See the top of this file."""

    def read(self, given: str) -> Any:
        """What was asked; raises UsageError."""
        ...

    def judge(self, signs: Signs, asked: Any) -> Called:
        """Whether it calls."""
        ...


TRIGGERS: Registry[Trigger] = Registry(
    "retraining trigger",
    "linnaea.experiments.retraining.triggers",
    title="Retraining triggers",
    use="Chosen with `linnaea retrain --when`.",
)


def read_triggers(given: Sequence[str]) -> dict[str, Any]:
    """What is asked of each trigger, by the words that were given; raises UsageError for one that is unknown."""
    return {words: TRIGGERS[words.partition(":")[0]].read(words.partition(":")[2]) for words in given}


def called(signs: Signs, given: Sequence[str]) -> dict[str, Called]:
    """What each trigger says, by the words that were given."""
    asked = read_triggers(given)
    return {words: TRIGGERS[words.partition(":")[0]].judge(signs, what) for words, what in asked.items()}
