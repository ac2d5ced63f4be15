"""The contract of a search: what it hunts in, and where searches are registered."""

import logging
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from linnaea.errors import UsageError
from linnaea.experiments.search.book import CUT, FAILED, FINISHED, PRUNED, Book, statuses
from linnaea.experiments.search.space import Space
from linnaea.experiments.search.table import described
from linnaea.experiments.search.trying import Field
from linnaea.registry import Registry
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
BROKEN_OFF = "broken off"


@dataclass(frozen=True)
class Limits:
    """When a search ends: after so many `trials` (None: any number), or at a time of `time.monotonic`."""

    trials: int | None = None
    until: float = math.inf

    def over(self, book: Book) -> bool:
        """Whether no further trial is to be begun; the first one always is."""
        ended = len(book.entries)
        return (self.trials is not None and ended >= self.trials) or (ended > 0 and time.monotonic() >= self.until)


@dataclass(frozen=True)
class Hunt:
    """A search that is under way: in what `field`, how it is written down, and when it ends.

    `name` stands before what is said of its trials; `told` is given the book after each of them. `on` says
    where they are made: "here" or "ray".
    """

    field: Field
    space: Space
    book: Book
    limits: Limits
    seed: int
    name: str = ""
    told: Callable[[Book], None] | None = None
    on: str = "here"

    def seed_of(self, number: int) -> int:
        """The seed for the draws of one trial: a search that was broken off goes on as it would have."""
        return (self.seed * 1_000_003 + number) % 2**32

    def tidy(self) -> None:
        """Remove what all but the best trial so far have left on the disk."""
        best = self.book.best
        for entry in self.book.entries:
            place = self.field.folder_of(entry.number)
            if place.is_dir() and (best is None or entry.number != best.number):
                shutil.rmtree(place)

    def tell(self, number: int) -> None:
        """Say how a trial ended, where it is the best one so far or failed; the others are counted in the end."""
        entry, best = next(entry for entry in self.book.entries if entry.number == number), self.book.best
        if best is not None and best.number == number:
            logger.info(f"{self.name}best so far, {described(entry)}")
        elif entry.status in (FAILED, CUT):
            logger.info(f"{self.name}{described(entry)}")
        if self.told is not None:
            self.told(self.book)

    def tell_counts(self) -> None:
        """Say how many trials ended in each way."""
        entries = self.book.entries
        ended = [f"{count} {BROKEN_OFF if status == PRUNED else status}" for status, count in statuses(entries).items()]
        logger.info(f"{self.name}{counted(len(entries), 'trial')}: {', '.join(ended)}.")

    def require_won(self) -> None:
        """Raise UsageError where no trial finished."""
        entries = self.book.entries
        if any(entry.status == FINISHED for entry in entries):
            return
        reasons = list(dict.fromkeys(str(entry.told.get("note") or entry.status) for entry in entries))[:3]
        short = any(entry.status == CUT for entry in entries)
        mend = "Set a longer --budget, or fewer --epochs" if short else "Search elsewhere, or mend what is said there"
        raise UsageError(f"none of {counted(len(entries), 'trial')} finished: {'; '.join(reasons)}. {mend}.")


CHANGEABLE = ("learning_rate", "label_smoothing", "clip_norm", "dropout", "drop_path")


def require_changeable(name: str, space: Space, *, folds: int | None, epochs: int | None) -> None:
    """Raise UsageError where a search changes values while networks train, and these cannot be changed so."""
    if not SEARCHES.about(name).capabilities.get("changing"):
        return
    if folds is not None:
        raise UsageError("members go on from one another, which no folds can judge: leave --inner-folds out.")
    if epochs is None or epochs < 2:
        raise UsageError(f"with --search {name} all train for the same number of epochs: give --epochs 2 or more.")
    fixed = [one for one in space.names if one not in CHANGEABLE]
    if fixed:
        raise UsageError(
            f"{', '.join(fixed)} cannot change while a network trains: search some of {', '.join(CHANGEABLE)}, or by "
            "--search bayes."
        )


Search = Callable[[Hunt], None]
"""Attempts trials until the limits of a hunt; each is begun and ended in its book."""

SEARCHES: Registry[Search] = Registry(
    "search", "linnaea.experiments.search", title="Searches", use="Chosen with `linnaea tune --search`."
)
