"""Comparison of two or more classifiers on the same images, pair by pair, with what is and what is not shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from linnaea.errors import UsageError
from linnaea.evidence.comparison import words
from linnaea.evidence.comparison.alignment import Aligned, align
from linnaea.evidence.comparison.differences import common_sample
from linnaea.evidence.comparison.pair_test import Contest, PairTest
from linnaea.evidence.metrics import Metric, metrics_for, metrics_of, scores_of
from linnaea.evidence.uncertainty import of_metric
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.runtime.neutral import neutral
from linnaea.statistics.association import holm_of_known
from linnaea.statistics.intervals import REPLICATES, estimate
from linnaea.statistics.repeats import mean_over
from linnaea.statistics.spread import Sample


@dataclass(frozen=True)
class Comparisons:
    """What is known of several classifiers on the images they all have.

    `values` are their figures in `metric`, the best first; `pairs` every pair, tested and corrected for their number
    (Holm). `left_out` counts the images that only some have, by classifier; `trainings` how often each was trained.
    `further` are other tests of the same classifiers, such as over folds, as rows; `notes` what should be known.
    """

    values: Mapping[str, Estimate]
    pairs: Sequence[PairTest]
    n: int
    metric: str
    task: str
    higher_is_better: bool
    share: bool
    left_out: Mapping[str, int]
    trainings: Mapping[str, int]
    margin: float | None = None
    further: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = field(default=())

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return words.verdict(self)

    @property
    def lines(self) -> list[str]:
        """The verdict, then what was asked about a margin, what would decide it, and the notes: a sentence each."""
        return [self.sentence, *words.margins(self), *words.outlook(self), *self.notes]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types; null where something is not defined, with the reason in `method` or `test`."""
        return {
            "sentence": self.sentence,
            "lines": self.lines,
            "metric": self.metric,
            "task": self.task,
            "higher_is_better": self.higher_is_better,
            "share": self.share,
            "n": self.n,
            "margin": self.margin,
            "left_out": dict(self.left_out),
            "trainings": dict(self.trainings),
            "values": {name: vars(value) for name, value in self.values.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
            "alike": words.alike(self),
            "further": [dict(row) for row in self.further],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        tables = [words.table_of_values(self), words.table_of_pairs(self)]
        more = [words.table_of_further(self.further)] if self.further else []
        said = "\n".join(map(neutral, self.lines))
        return "\n\n".join([said, *map(words.as_text, [*tables, *more])])


def compare_many(
    sides: Mapping[str, Predictions | Sequence[Predictions]],
    *,
    metric: str | None = None,
    margin: float | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Comparisons:
    """Compare classifiers, by name, on the images that all of them have, by one metric: the task's own by default.

    Several predictions of one classifier are those of trainings with different seeds: it is then judged by their mean,
    and what a training changes is part of the error. A plain share of images is tested by McNemar's exact test, over
    groups by flipping their signs; an area of two classes by DeLong's; others by a paired bootstrap; several trainings
    by a t-test over images and trainings. `margin` asks as well whether one is worse by less than that. Raises
    UsageError for a metric that does not apply or a margin that is none, DataError for predictions that do not match.
    """
    require_margin(margin)
    aligned = align({name: [one] if isinstance(one, Predictions) else one for name, one in sides.items()})
    scores = {name: [scores_of(one) for one in several] for name, several in aligned.sides.items()}
    name = metric or aligned.first.rules.metric
    chosen = _metric(name, aligned, next(iter(scores.values()))[0])
    sample = common_sample(*(one for several in aligned.sides.values() for one in several))
    contest = Contest(name, chosen, sample, margin, seed, replicates)
    names = list(scores)
    pairs = [
        contest.between((first, second), (scores[first], scores[second]))
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    ]
    adjusted = holm_of_known([pair.p_value for pair in pairs])
    values = {one: _value(chosen, several, sample, seed, replicates) for one, several in scores.items()}
    return Comparisons(
        _best_first(values, higher_is_better=chosen.higher_is_better),
        [pair.corrected(p, higher_is_better=chosen.higher_is_better) for pair, p in zip(pairs, adjusted, strict=True)],
        len(aligned.first),
        name,
        aligned.first.task,
        chosen.higher_is_better,
        chosen.flags is not None or chosen.parts is not None,
        aligned.left_out,
        {one: len(several) for one, several in scores.items()},
        margin,
        notes=_notes(aligned, pairs),
    )


def require_margin(margin: float | None) -> None:
    """Raise UsageError for a margin that is not above 0 and below 1."""
    if margin is not None and not 0 < margin < 1:
        raise UsageError(
            f"margin is {margin:g}; expected a difference above 0 and below 1 that would not matter, such as 0.01 for "
            "one point."
        )


def _metric(name: str, aligned: Aligned, scores: Any) -> Metric[Any]:
    task = aligned.first.task
    known = metrics_for(task)
    metric = known[name]  # an unknown name is refused with a suggestion
    if name not in metrics_of(scores):
        raise UsageError(
            f"the metric {name} does not apply to {task} with {len(aligned.first.classes)} classes; expected one of "
            f"{', '.join(metrics_of(scores))}."
        )
    return metric


def _value(metric: Metric[Any], several: Sequence[Any], sample: Sample, seed: int, replicates: int) -> Estimate:
    told = [
        estimate({"it": of_metric(metric, one, sample)}, sample, seed=seed, replicates=replicates)["it"]
        for one in several
    ]
    if len(told) == 1:
        return told[0]
    lacking = next((one for one in told if one.value is None), None)
    if lacking is not None:
        return lacking
    mean = mean_over([one.value for one in told if one.value is not None], told[0].n, "training", bounds=metric.bounds)
    return replace(mean, method=f"{mean.method}; images not counted")


def _best_first(values: Mapping[str, Estimate], *, higher_is_better: bool) -> dict[str, Estimate]:
    def place(name: str) -> tuple[bool, float]:
        value = values[name].value
        return value is None, 0.0 if value is None else (-value if higher_is_better else value)

    return {name: values[name] for name in sorted(values, key=place)}


def _notes(aligned: Aligned, pairs: Sequence[PairTest]) -> list[str]:
    lost = [f"{count:,} of {name}" for name, count in aligned.left_out.items() if count]
    notes = [f"Images that not all of them have are left out: {', '.join(lost)}."] if lost else []
    if len(pairs) > 1:
        notes.append(
            f"P-values are corrected for {len(pairs)} pairs (Holm): chance alone shows any difference in at most 5 of "
            "100 such comparisons."
        )
    untested = [pair for pair in pairs if pair.p_value is None]
    if untested:
        first = untested[0]
        why = first.test.removeprefix("none: ")
        notes.append(
            f"{len(untested)} of {len(pairs)} pairs are not tested: first {first.first} and {first.second}, {why}."
        )
    classes = np.unique(aligned.first.targets) if not aligned.first.rules.multilabel else ()
    lacking = len(aligned.first.classes) - len(classes)
    if len(classes) and lacking:
        notes.append(f"{lacking} of {len(aligned.first.classes)} classes have no image here: nothing is known of them.")
    return notes
