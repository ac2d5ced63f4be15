"""Evaluation by groups: columns of a dataset or of predictions as slices, judged together as one look at the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.dataset import Dataset
from linnaea.evidence.evaluation import Evaluation, judge
from linnaea.evidence.fairness import Slices, judge_groups, require_columns, slices_of
from linnaea.evidence.fairness.discovery import NAME as BAD_SLICES
from linnaea.evidence.fairness.slicing import SMALLEST, columns_in
from linnaea.evidence.keeping import figures_in, keep_figures
from linnaea.predictions import Predictions
from linnaea.run import Run

NAME = "groups"


@dataclass(frozen=True)
class AskedGroups:
    """What is asked about groups: the columns `by` which images are sliced, and the `smallest` group to judge.

    `find` asks for slices that no column names.
    """

    by: Sequence[str] = ()
    smallest: int = SMALLEST
    find: bool = False

    def slices(self, dataset: Dataset) -> list[Slices]:
        """The slices of a dataset; raises UsageError for a column that it has not, or that makes no groups."""
        if not self.by:
            return []
        names = [*dataset.metadata, *(["group"] if dataset.has("group") else [])]
        require_columns(self.by, names, f"the images of {dataset.root}")
        columns: dict[str, Sequence[Any]] = {name: dataset.column(name) for name in self.by}
        return slices_of(columns, self.by, self.smallest)


NOTHING = AskedGroups()


def with_groups(evaluation: Evaluation, slicings: Sequence[Slices], smallest: int) -> Evaluation:
    """The evaluation with the figures and findings of groups; as it is where there are no slices."""
    if not slicings:
        return evaluation
    told = judge_groups(evaluation.predictions, slicings, smallest=smallest)
    return evaluation.with_more(told.figures, told.findings)


def judge_with_groups(predictions: Predictions, asked: AskedGroups, prevalence: float | None) -> Evaluation:
    """Finished predictions judged, with their groups where columns are named; a wrong column is refused before."""
    slicings: list[Slices] = []
    if asked.by:
        columns = columns_in(predictions)
        require_columns(asked.by, list(columns), "the predictions")
        slicings = slices_of(columns, asked.by, asked.smallest)
    return with_groups(judge(predictions, prevalence=prevalence), slicings, asked.smallest)


def keep_groups(run: Run, name: str, evaluation: Evaluation, found: Evaluation, asked: AskedGroups) -> Evaluation:
    """What was `found` beyond the evaluation, in `findings/groups.json`, `groups-NAME.json` for others' images.

    What was not asked for this time, groups by columns or slices that no column names, stays as it was found before.
    """
    figures = {key: figure for key, figure in found.figures.items() if key not in evaluation.figures}
    findings = found.findings[len(evaluation.findings) :]
    if not findings:
        return found
    place = NAME if name in ("test", "val") else f"{NAME}-{name}"
    before = [one for one in run.findings(place) if not (asked.find if one.name == BAD_SLICES else asked.by)]
    if not asked.by:
        figures = figures_in(run.folder, place)
    keep_figures(run.folder, place, figures, [*before, *findings])
    return found
