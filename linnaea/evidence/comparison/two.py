"""Comparison: what was, and what was not, shown about two classifiers on the same images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from linnaea.evidence.comparison.differences import alike, common_sample, difference_of, test_of, value_of
from linnaea.evidence.comparison.pairing import pair
from linnaea.evidence.metrics import metrics_for, metrics_of, scores_of
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.runtime.neutral import neutral
from linnaea.statistics.intervals import REPLICATES, estimate

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """The differences, second less first, with what was tested.

    `values` and `differences` are by metric; `metric` is the one the verdict rests on, `p_value` and `test` come
    with it (None where there is no test). `left_out` counts the images only the first and only the second has. `task`
    is the question that both answer, `better` the name of the one shown to be better, or None.
    """

    names: tuple[str, str]
    n: int
    left_out: tuple[int, int]
    metric: str
    values: Mapping[str, tuple[float | None, float | None]]
    differences: Mapping[str, Estimate]
    p_value: float | None
    test: str
    task: str

    @property
    def better(self) -> str | None:
        """The name of the one that the test and the interval of the task's metric both show to be better."""
        difference = self.differences[self.metric]
        if difference.value is None or difference.lo is None or difference.hi is None:
            return None
        if not (difference.lo > 0 or difference.hi < 0) or (self.p_value is not None and self.p_value >= LEVEL):
            return None
        return self.names[int((difference.value > 0) == metrics_for(self.task)[self.metric].higher_is_better)]

    @property
    def sentence(self) -> str:
        """What was and was not shown, in one plain sentence."""
        return _sentence(self)

    @property
    def note(self) -> str:
        """What the verdict rests on, and which rows are tests."""
        if self.p_value is None:
            return (
                f"The verdict rests on the interval of {self.metric} alone: there is no paired test of it. The other "
                "intervals are descriptive."
            )
        return (
            f"The verdict rests on {self.metric} alone, the only paired test here ({self.test}). The intervals of "
            "the other differences are descriptive; they are not tests."
        )

    def tested(self, name: str) -> str:
        """The paired test of a metric, or that there is none."""
        if name != self.metric or self.p_value is None:
            return "interval only"
        return f"paired test: {_shown_p(self)}"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types: the fields, `better`, `sentence`, `note`, and by metric what is `tested`."""
        words = {"better": self.better, "sentence": self.sentence, "note": self.note}
        plain = {"names": list(self.names), "left_out": list(self.left_out)}
        values = {name: list(both) for name, both in self.values.items()}
        tested = {name: self.tested(name) for name in self.differences}
        return asdict(self) | plain | {"values": values, "tested": tested} | words

    def __str__(self) -> str:
        first, second = map(neutral, self.names)
        header = ("metric", first, second, f"{second} less {first}", "kind", "method")
        rows = [header, *(self._row(name, difference) for name, difference in self.differences.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([neutral(self.sentence), neutral(self.note), "", *lines])

    def _row(self, name: str, difference: Estimate) -> tuple[str, ...]:
        cells = ("-" if value is None else f"{value:.3f}" for value in self.values[name])
        text = "not defined" if difference.value is None else f"{difference.value:+.3f}"
        if difference.lo is not None and difference.hi is not None:
            text += f" ({difference.lo:+.3f} to {difference.hi:+.3f})"
        return (name, *cells, text, self.tested(name), difference.method)


def compare(
    a: Predictions,
    b: Predictions,
    names: tuple[str, str] = ("A", "B"),
    seed: int = 0,
    *,
    replicates: int = REPLICATES,
    only_verdict: bool = False,
) -> Comparison:
    """Compare two predictions on the images they share; the verdict is on the task's metric.

    For accuracy McNemar's test (McNemar 1947), exact; where either has groups, its counterpart that flips the signs
    of whole groups. Intervals of the differences come from leaving out the same images in both. `only_verdict` leaves
    out all metrics but the task's. Raises DataError when no image is shared, an id occurs twice, or tasks, classes or
    truths differ.
    """
    matched = pair(a, b, names)
    sample = common_sample(matched.a, matched.b)
    scores = scores_of(matched.a), scores_of(matched.b)
    metrics = metrics_of(scores[0])
    if only_verdict:
        metrics = {a.rules.metric: metrics[a.rules.metric]}
    both = {name: alike(metric, scores) for name, metric in metrics.items()}
    statistics = {name: difference_of(metric, both[name], sample) for name, metric in metrics.items()}
    p_value, test = test_of(metrics[a.rules.metric], scores, sample, seed)
    return Comparison(
        names,
        len(matched.a),
        matched.left_out,
        a.rules.metric,
        {name: (value_of(metric, both[name][0]), value_of(metric, both[name][1])) for name, metric in metrics.items()},
        estimate(statistics, sample, seed=seed, replicates=replicates),
        p_value,
        test,
        a.task,
    )


def _sentence(result: Comparison) -> str:
    first, second = result.names
    images = f"on these {result.n:,} images"
    by = "accuracy" if result.metric == "accuracy" else f"`{result.metric}`"
    difference = result.differences[result.metric]
    lo, hi, left_out = difference.lo, difference.hi, _left_out(result)
    if difference.value is None or lo is None or hi is None:
        return f"It cannot be said whether {first} and {second} differ in {by} {images}: {difference.method}{left_out}."
    values = [_figure(result, value) for value in result.values[result.metric]]
    if result.better is None:
        return (
            f"No difference was shown between {first} and {second} in {by} {images}: {values[0]} against {values[1]}, "
            f"and the difference could be anything from {_points(result, lo, sign=True)} to "
            f"{_points(result, hi, sign=True)}{_unit(result)} (95 % interval{_p(result)}){left_out}."
        )
    winner = result.names.index(result.better)
    size, low, high = (_points(result, value) for value in _sizes(difference.value, lo, hi))
    how = "is more accurate than" if result.metric == "accuracy" else f"is better in {by} than"
    return (
        f"{result.better} {how} {result.names[1 - winner]} {images}: {values[winner]} against {values[1 - winner]}, "
        f"a difference of {size}{_unit(result)} (95 % interval {low} to {high}{_p(result)}){left_out}."
    )


def _sizes(value: float, lo: float, hi: float) -> tuple[float, float, float]:
    """The size of a difference with its limits, all positive where the interval leaves out 0."""
    return (value, lo, hi) if value > 0 else (-value, -hi, -lo)


def _is_share(result: Comparison) -> bool:
    metric = metrics_for(result.task)[result.metric]
    return metric.flags is not None or metric.parts is not None


def _figure(result: Comparison, value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{100 * value:.1f} %" if _is_share(result) else f"{value:.3f}"


def _points(result: Comparison, value: float, *, sign: bool = False) -> str:
    amount, places = (100 * value, 1) if _is_share(result) else (value, 3)
    return f"{amount:{'+' if sign else ''}.{places}f}"


def _unit(result: Comparison) -> str:
    return " points" if _is_share(result) else ""


def _p(result: Comparison) -> str:
    return "" if result.p_value is None else f", {_shown_p(result)}"


def _shown_p(result: Comparison) -> str:
    assert result.p_value is not None, "without a test there is no p-value"
    shown = "p < 0.001" if result.p_value < 0.001 else f"p = {result.p_value:.3f}"
    return f"{result.test.partition(',')[0]} {shown}"


def _left_out(result: Comparison) -> str:
    counts = [f"{count:,} of {name}" for name, count in zip(result.names, result.left_out, strict=True) if count]
    return f"; images that only one of them has are left out: {' and '.join(counts)}" if counts else ""
