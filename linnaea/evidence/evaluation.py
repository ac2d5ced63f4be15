"""Evaluation: every figure of one set of predictions with its interval, and the tables a report draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from linnaea.decisions import Policy
from linnaea.evidence import binary, label_tables, tables
from linnaea.evidence.calibration_figures import calibration_figures
from linnaea.evidence.contract import FIGURES
from linnaea.evidence.keeping import keep_figures
from linnaea.evidence.label_policy import of_label_policy
from linnaea.evidence.metrics import Judged, LabelScores, Scores, TreeScores, metrics_for, metrics_of, scores_of
from linnaea.evidence.metrics.contract import LABEL_METRICS, METRICS, TREE_METRICS
from linnaea.evidence.parts_of_uncertainty import parts_found
from linnaea.evidence.policy_figures import (
    answered_accuracy,
    class_coverage,
    coverage,
    mean_set_size,
    unfamiliar_rate,
    unsure_rate,
)
from linnaea.evidence.prevalence import at_prevalence, require_prevalence
from linnaea.evidence.promised import promises_of
from linnaea.evidence.promises import findings_of
from linnaea.evidence.set_tables import prediction_sets, set_findings
from linnaea.evidence.tree_tables import tree_findings
from linnaea.evidence.uncertainty import of_metric, sample_of
from linnaea.finding import Estimate, Finding, promises_in
from linnaea.predictions import Predictions
from linnaea.runtime.neutral import neutral
from linnaea.statistics.intervals import REPLICATES, Statistic, estimate
from linnaea.statistics.spread import Sample

MOST_UNDEFINED = 3  # figures that get a line of their own
__all__ = ["Evaluation", "figure_of", "figures", "findings", "judge", "write_evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """What is known about one set of predictions: the figures by name, and the findings with their tables."""

    predictions: Predictions
    figures: Mapping[str, Estimate]
    findings: Sequence[Finding]

    def with_more(self, figures: Mapping[str, Estimate], findings: Sequence[Finding]) -> "Evaluation":
        """The same with further figures and findings."""
        return Evaluation(self.predictions, {**self.figures, **figures}, [*self.findings, *findings])

    def __str__(self) -> str:
        return self.told(self.figures)

    def brief(self) -> str:
        """The same without the figures that are details of others."""
        return self.told({name: figure for name, figure in self.figures.items() if not _is_detail(name)})

    @property
    def details(self) -> int:
        """How many figures are details of others."""
        return sum(map(_is_detail, self.figures))

    def told(self, figures: Mapping[str, Estimate]) -> str:
        """What was promised and kept, and a line for each of some figures."""
        first, later = ([neutral(finding.summary) for finding in told] for told in promises_in(self.findings))
        undefined = {name: figure.method for name, figure in figures.items() if figure.value is None}
        few = len(undefined) <= MOST_UNDEFINED
        told = {name: figure for name, figure in figures.items() if few or figure.value is not None}
        rows = [(name, str(figure), f"n = {figure.n}", figure.method) for name, figure in told.items()]
        name, figure, images = (max((len(row[column]) for row in rows), default=0) for column in range(3))
        lines = (f"{row[0]:<{name}}  {row[1]:<{figure}}  {row[2]:<{images}}  {row[3]}" for row in rows)
        return "\n".join([*first, *lines, *([] if few else [_not_defined(undefined)]), *later])


def _is_detail(name: str) -> bool:
    """Whether a figure is registered as a detail of others."""
    families = (METRICS, LABEL_METRICS, TREE_METRICS, FIGURES)
    return any(name in family and bool(family.about(name).capabilities.get("detail")) for family in families)


def _not_defined(methods: Mapping[str, str]) -> str:
    """The names of many figures that are not defined, in one line, with the reason of the first."""
    first, method = next(iter(methods.items()))
    shown = ", ".join(list(methods)[:MOST_UNDEFINED])
    same = len(set(methods.values())) == 1
    why = method.removeprefix("not defined: ")
    reason = why if same else f"{first}: {why}; of the others see metrics.json or `--json`"
    return f"{len(methods)} figures are not defined: {shown} and {len(methods) - MOST_UNDEFINED} more ({reason})."


def figures(
    predictions: Predictions, seed: int = 0, replicates: int = REPLICATES, *, prevalence: float | None = None
) -> dict[str, Estimate]:
    """Every metric that applies, and what the decision policy did, each with its 95 % interval.

    Beside the metrics: `coverage` (share of prediction sets that hold the truth), `mean_set_size`, `unsure_rate`,
    `unfamiliar_rate`, `answered_accuracy` (accuracy where the reason is "ok"). Whole groups are left out in turn where
    the predictions have a `group`. With several labels `false_negative_rate`, the share of an image's labels that its
    set misses, stands in place of `coverage`, and there is no `answered_accuracy`. Raises DataError where an image has
    no truth.
    """
    return _figures(predictions, scores_of(predictions), seed, replicates, prevalence)


def _figures(
    predictions: Predictions, scores: Judged, seed: int, replicates: int, prevalence: float | None
) -> dict[str, Estimate]:
    sample = sample_of(predictions)
    statistics = {name: of_metric(metric, scores, sample) for name, metric in metrics_of(scores).items()}
    statistics |= calibration_figures(scores, sample)
    statistics |= _of_policy(predictions, scores, sample)
    if prevalence is not None:
        require_prevalence(predictions.task, prevalence)
        statistics |= at_prevalence(cast(Scores, scores), sample, prevalence)
    return estimate(statistics, sample, seed=seed, replicates=replicates)


def figure_of(predictions: Predictions, seed: int = 0, replicates: int = REPLICATES) -> Estimate:
    """The task's own metric, which models are chosen by, with its 95 % interval."""
    name, scores, sample = predictions.rules.metric, scores_of(predictions), sample_of(predictions)
    metric = metrics_for(predictions.task)[name]
    return estimate({name: of_metric(metric, scores, sample)}, sample, seed=seed, replicates=replicates)[name]


def findings(
    predictions: Predictions,
    policy: Policy | None = None,
    *,
    tuned_on: Predictions | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> list[Finding]:
    """The tables of a report; `policy` is the one that decided, where it is known.

    Of two classes there are also `roc`, `precision_recall` and `operating_points`; `tuned_on` are the predictions on
    val, by which the thresholds of the last are chosen.

    With one label per image `per_class`, `confusion`, `reliability`, `mistakes`, `answers`, and `unreadable` if any is;
    with several `per_label` and `co_occurrence` in place of the first two, and `nothing_known` where that is so of any
    image; with a taxonomy `tree` and `levels` come last; where several members answered, `uncertainty_parts`. Raises
    DataError where an image has no truth.
    """
    return _findings(predictions, scores_of(predictions), policy, tuned_on, seed, replicates)


def _findings(
    predictions: Predictions,
    scores: Judged,
    policy: Policy | None,
    tuned_on: Predictions | None,
    seed: int,
    replicates: int,
) -> list[Finding]:
    return [*_tables(predictions, scores, policy, tuned_on, seed, replicates), *parts_found(predictions)]


def _tables(
    predictions: Predictions,
    scores: Judged,
    policy: Policy | None,
    tuned_on: Predictions | None,
    seed: int,
    replicates: int,
) -> list[Finding]:
    if isinstance(scores, LabelScores):
        labelled = label_tables.findings(predictions, scores, policy, seed=seed, replicates=replicates)
        return [*labelled, *set_findings(predictions, scores, policy)]
    assert isinstance(scores, Scores), "with one label per image"
    found = tables.findings(predictions, scores)
    if predictions.task == "binary":
        found += binary.findings(predictions, scores, policy, tuned_on=tuned_on, seed=seed, replicates=replicates)
    found += set_findings(predictions, scores, policy)
    return [*found, *tree_findings(predictions, scores)] if isinstance(scores, TreeScores) else found


def judge(
    predictions: Predictions,
    policy: Policy | None = None,
    *,
    tuned_on: Predictions | None = None,
    fitted_here: bool = False,
    prevalence: float | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Evaluation:
    """All `figures` and `findings`, from one pass over the scores.

    Where the policy is known, findings `promise_...` come first: whether these images show that what it promises is
    kept. `fitted_here` says that it was fitted to these very images, which then show nothing of the kind.
    """
    require_prevalence(predictions.task, prevalence)
    scores = scores_of(predictions)
    tables = _findings(predictions, scores, policy, tuned_on, seed, replicates)
    known = _figures(predictions, scores, seed, replicates, prevalence)
    promises = {} if policy is None else promises_of(predictions, scores, policy, known, seed=seed)
    return Evaluation(predictions, known, [*findings_of(promises, tested=not fitted_here), *tables])


def write_evaluation(
    predictions: Predictions,
    folder: Path,
    name: str,
    policy: Policy | None = None,
    *,
    prevalence: float | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Evaluation:
    """Evaluate and write `predictions/<name>.parquet`, `findings/<name>.json` and the entry `name` of `metrics.json`.

    `policy` is the one that decided, where it is known; `prevalence`, of two classes, a share of positives for which
    the worth of answers is told as well. Each file is written atomically; entries of other names in `metrics.json`
    stay as they are.
    """
    tuned_on = _tuned_on(predictions, folder, name)
    evaluation = judge(
        predictions,
        policy,
        tuned_on=tuned_on,
        fitted_here=name == "val",
        prevalence=prevalence,
        seed=seed,
        replicates=replicates,
    )
    predictions.keep(folder / "predictions" / f"{name}.parquet")
    keep_figures(folder, name, evaluation.figures, evaluation.findings)
    return evaluation


def _tuned_on(predictions: Predictions, folder: Path, name: str) -> Predictions | None:
    """What was said of the val images, where thresholds can be chosen by them and these are others."""
    val = folder / "predictions" / "val.parquet"
    if predictions.task != "binary" or name == "val" or not val.exists():
        return None
    known = Predictions.read(val)
    return known if known.classes == predictions.classes else None


def _of_policy(predictions: Predictions, scores: Judged, sample: Sample) -> dict[str, Statistic]:
    if isinstance(scores, LabelScores):
        return of_label_policy(predictions, scores, sample)
    assert isinstance(scores, Scores), "with one label per image"
    given, holds, sizes = prediction_sets(predictions)
    return {
        "coverage": coverage(holds, given, sample),
        "class_coverage": class_coverage(holds, given, scores, sample),
        "mean_set_size": mean_set_size(sizes, given, sample),
        "unsure_rate": unsure_rate(predictions, sample),
        "unfamiliar_rate": unfamiliar_rate(predictions, sample),
        "answered_accuracy": answered_accuracy(predictions, scores.right, sample),
    }
