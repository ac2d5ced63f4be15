"""Several classifiers over several data sets: ranks, the critical difference, and every pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.errors import DataError
from linnaea.evidence.comparison import words
from linnaea.evidence.comparison.many import Comparisons, compare_many
from linnaea.evidence.comparison.retrained import over_datasets
from linnaea.predictions import Predictions
from linnaea.runtime.neutral import neutral
from linnaea.statistics.over_datasets import FEWEST, LEVEL, Ranked, ranked

FEW = 10


@dataclass(frozen=True)
class DatasetComparisons:
    """Figures (by data set, then by classifier), their ranks, and the tests of every pair over the data sets."""

    values: Mapping[str, Mapping[str, float]]
    names: Sequence[str]
    metric: str
    share: bool
    ranks: Ranked
    pairs: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    each: Mapping[str, Comparisons]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        order = sorted(zip(self.ranks.ranks, self.names, strict=True))
        (rank, best), *others = order
        over = f"Over {self.ranks.datasets} data sets"
        opening = f"{over} {best} has the best mean rank, {rank:.2f} of {len(order)}, by {self._by}."
        if self.ranks.critical is None:
            pair = self.pairs[0]
            return f"{opening} {self._of_two(pair)}"
        if not self.ranks.told_apart:
            return (
                f"{opening} That the classifiers differ at all is not shown (Friedman, p = {self.ranks.p_value:.3f})."
            )
        beaten = [name for other, name in others if other - rank >= self.ranks.critical]
        shown = f"It is shown to rank better than {', '.join(beaten)}" if beaten else "No other is shown to rank worse"
        p = self.ranks.p_value or 0.0
        how = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
        return f"{opening} {shown} (Friedman {how}; Nemenyi, critical difference {self.ranks.critical:.2f} ranks)."

    def _of_two(self, pair: Mapping[str, Any]) -> str:
        p = pair["p_value"]
        if p is None:
            return "They never differ: there is nothing to test."
        told = f"chance alone would show as much in {words.rarely(p)} such collections of data sets (Wilcoxon)."
        shown = "A difference is shown" if p < LEVEL else "That it is better is not shown"
        return f"{shown}: were both equally good, {told}"

    @property
    def _by(self) -> str:
        return "accuracy" if self.metric == "accuracy" else f"`{self.metric}`"

    @property
    def lines(self) -> list[str]:
        """The verdict and the notes, a sentence each."""
        return [self.sentence, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "sentence": self.sentence,
            "lines": self.lines,
            "metric": self.metric,
            "share": self.share,
            "names": list(self.names),
            "values": {name: dict(row) for name, row in self.values.items()},
            "ranks": dict(zip(self.names, self.ranks.ranks, strict=True)),
            "datasets": self.ranks.datasets,
            "friedman": self.ranks.p_value,
            "critical_difference": self.ranks.critical,
            "pairs": [dict(row) for row in self.pairs],
            "notes": list(self.notes),
            "each": {name: one.to_json() for name, one in self.each.items()},
        }

    def __str__(self) -> str:
        head = ["data set", *self.names]
        rows = [[name, *(f"{row[one]:.3f}" for one in self.names)] for name, row in self.values.items()]
        ranks = ["mean rank", *(f"{rank:.2f}" for rank in self.ranks.ranks)]
        tables = words.as_text([head, *rows, ranks]), words.as_text(words.table_of_further(self.pairs))
        return "\n\n".join(["\n".join(map(neutral, self.lines)), *tables])


def compare_over_datasets(
    sides: Mapping[str, Mapping[str, Predictions | Sequence[Predictions]]], *, metric: str | None = None, seed: int = 0
) -> DatasetComparisons:
    """Compare classifiers, by name, over the data sets that all of them were judged on, by one metric.

    Each data set counts once, however many images it has: it is asked whether one is better on data sets like these,
    not on images like these. Three or more are compared by Friedman's test and Nemenyi's, every pair by Wilcoxon's
    signed ranks with Holm's correction (Demsar 2006). Raises DataError for fewer than two data sets in common, and as
    `compare_many`.
    """
    names = list(sides)
    shared = [name for name in sides[names[0]] if all(name in one for one in sides.values())]
    if len(shared) < 2:
        raise DataError(
            f"{', '.join(names)} have {len(shared)} data sets in common: expected two or more, of the same names."
        )
    each = {one: compare_many({name: sides[name][one] for name in names}, metric=metric, seed=seed) for one in shared}
    metrics = {found.metric for found in each.values()}
    if len(metrics) > 1:
        raise DataError(f"the data sets are judged by {', '.join(sorted(metrics))}: name one metric for all of them.")
    lacking = [(one, name) for one, found in each.items() for name in names if found.values[name].value is None]
    if lacking:
        one, name = lacking[0]
        raise DataError(
            f"{metrics.pop()} of {name} on {one} is {each[one].values[name].method}: leave the data set out."
        )
    known = {one: {name: _value(found, name) for name in names} for one, found in each.items()}
    first = next(iter(each.values()))
    values = np.array([[row[name] for name in names] for row in known.values()])
    table = {name: values[:, place].tolist() for place, name in enumerate(names)}
    return DatasetComparisons(
        known,
        names,
        first.metric,
        first.share,
        ranked(values, higher_is_better=first.higher_is_better),
        over_datasets(table),
        _notes(sides, shared),
        each,
    )


def _value(found: Comparisons, name: str) -> float:
    value = found.values[name].value
    assert value is not None, "it was looked at before"
    return value


def _notes(sides: Mapping[str, Mapping[str, Any]], shared: Sequence[str]) -> list[str]:
    alone = sorted({name for one in sides.values() for name in one} - set(shared))
    notes = [f"Data sets that not all of them have are left out: {', '.join(alone)}."] if alone else []
    if len(shared) < FEWEST:
        notes.append(f"{len(shared)} data sets cannot show much: with fewer than {FEWEST} no pair can be told apart.")
    elif len(shared) < FEW:
        notes.append(f"{len(shared)} data sets are few: only differences that nearly all of them share are shown.")
    return notes
