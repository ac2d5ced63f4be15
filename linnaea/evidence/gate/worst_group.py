"""Whether it is good enough for every group of images, and not much worse for one than for another."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from linnaea.evidence.gate.contract import RULES, Case, Judgement, NotDoneError
from linnaea.evidence.gate.held import AT_LEAST, AT_MOST, Held, held
from linnaea.evidence.gate.parameters import Parameter
from linnaea.finding import Estimate, Finding

NAME, FILE = "groups", "findings/groups.json"
GAP = "accuracy_difference"
NONE = "no group is large enough to be judged"


@RULES.register("worst_group", title="Good enough for every group", order=105)
def worst_group(
    case: Case,
    *,
    least: Annotated[float, Parameter("Least value of the task's metric in the worst group.", 0, 1)] = 0.6,
    most_gap: Annotated[float, Parameter("Most that right answers may differ between groups.", 0, 1)] = 0.2,
) -> Judgement:
    """In the worst group that `evaluate --by` found the metric is high enough, and the gap between groups small."""
    case.require_test()
    found = case.findings(NAME, _command(case))
    facts = [*_worst(found, case.metric, least), *_gaps(found, most_gap)]
    if not facts and not any(finding.name == NAME for finding in found):
        raise NotDoneError(f"no column was named that makes groups; {FILE} holds other findings.", _command(case))
    if not facts:
        raise NotDoneError(f"{NONE}: {_why(found)}", "Add images of these groups to the test split.")
    mend = "Add training images of it, or train with `--fair`; if it stays so, say in the limits for whom it is not."
    return held(facts, mend, f"In every group of {_by(found)}.")


def _worst(found: Sequence[Finding], metric: str, least: float) -> Iterator[Held]:
    for finding in found:
        if finding.name == "worst_group" and finding.figure is not None and finding.rows:
            row = finding.rows[0]
            noun = (f"image of {row['group']}", f"images of {row['group']}")
            yield Held(f"the {metric} for {row['by']} {row['group']}", finding.figure, AT_LEAST, least, FILE, noun)


def _gaps(found: Sequence[Finding], most: float) -> Iterator[Held]:
    rows = [row for finding in found if finding.name == "gaps" for row in finding.rows if row.get("gap") == GAP]
    for row in rows:
        if row.get("value") is not None and row.get("lo") is not None and row.get("hi") is not None:
            figure = Estimate(row["value"], row["lo"], row["hi"], row["n"], str(row.get("method", "as evaluated")))
            what = f"the gap in right answers by {row['by']}, from {row['lowest']} to {row['highest']},"
            yield Held(what, figure, AT_MOST, most, FILE, is_share=False, unit="points")


def _why(found: Sequence[Finding]) -> str:
    told = {finding.name: finding.summary for finding in found}
    return told.get("small_groups") or told.get("worst_group") or told[NAME]


def _by(found: Sequence[Finding]) -> str:
    named = dict.fromkeys(str(row["by"]) for finding in found if finding.name == NAME for row in finding.rows)
    return ", ".join(named) or "those judged"


def _command(case: Case) -> str:
    """What judges groups by the columns that the data has."""
    dataset = case.dataset
    known = [*dataset.metadata, *(["group"] if dataset.has("group") else [])]
    if known:
        return f"linnaea evaluate {case.run.folder} --by {','.join(known[:3])}"
    return (
        "Give the data as a table with a column for each property, such as site or camera, train again, then "
        f"linnaea evaluate {case.run.folder} --by COLUMN"
    )
