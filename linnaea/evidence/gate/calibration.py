"""Whether what it says of itself holds: its probabilities, and what its policy promises."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from linnaea.evidence.gate.contract import METRICS, RULES, TEST, Case, Judgement, NotDoneError
from linnaea.evidence.gate.held import AT_LEAST, AT_MOST, Held, held
from linnaea.evidence.gate.parameters import Parameter
from linnaea.finding import PROMISE, Estimate, Finding

FINDINGS = f"findings/{TEST}.json"


@RULES.register("calibration", title="Probabilities that mean something", order=90)
def calibration(
    case: Case,
    *,
    most: Annotated[float, Parameter("Highest calibration error (ECE), by its whole interval.", 0, 1)] = 0.1,
) -> Judgement:
    """Stated confidence lies close to the share that is right, by the interval of the expected calibration error."""
    error = Held("the calibration error", case.figure("ece"), AT_MOST, most, METRICS, is_share=False)
    return held([error], "Calibrate on more validation images, or by another calibrator.")


@RULES.register("promises", title="Promises that are kept", order=100)
def promises(
    case: Case,
    *,
    tolerance: Annotated[float, Parameter("How far from what was promised a share may lie.", 0, 1)] = 0.05,
) -> Judgement:
    """Aim, risk, coverage and rates that the policy promises are kept on the test split, within a tolerance."""
    case.require_test()
    told = [finding for finding in case.findings(TEST, f"linnaea evaluate {case.run.folder}") if finding.is_promise]
    facts = [fact for finding in told for fact in _facts(finding, tolerance)]
    if not facts:
        raise NotDoneError("the policy promises nothing.", f"linnaea evaluate {case.run.folder}")
    mend = "Train again with more validation images, which thresholds are set on, or promise less."
    return held(facts, mend, f"{len(facts)} of {len(facts)} are kept.")


def _facts(finding: Finding, tolerance: float) -> Iterator[Held]:
    """The promises of a finding as figures held to what was promised, less the tolerance."""
    name = finding.name.removeprefix(PROMISE).replace("_", " ")
    for row in finding.rows:
        figure = Estimate(row["value"], row["lo"], row["hi"], row["n"], "as evaluated")
        if figure.value is None:
            continue
        at_most = row["promised"] == AT_MOST
        bound = row["bound"] + tolerance if at_most else row["bound"] - tolerance
        side = AT_MOST if at_most else AT_LEAST
        told = Held(f"the {name}{_of(row)}", figure, side, round(bound, 12), FINDINGS)
        yield told if row["promised"] in (AT_LEAST, AT_MOST) else replace(told, unit="", is_share=False)


def _of(row: "object") -> str:
    return f" of {row['of']}" if isinstance(row, dict) and row.get("of") else ""
