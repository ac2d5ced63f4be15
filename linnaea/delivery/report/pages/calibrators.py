"""Which calibrator makes probabilities of scores, and how it compares with the others."""

from typing import Any

from linnaea.delivery.report.folder import CALIBRATION, Part, pick
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import NOTHING, cell, decimal, number

DIGITS = 4


@PAGES.register("calibrators", title="Calibrators", order=95)
def calibrators(material: Material) -> Part | None:
    """The log loss of each calibrator that was tried on val; none of a run in which they were not compared."""
    name = f"findings/{CALIBRATION}.json"
    if not (material.folder.path / name).is_file():
        return None
    found = pick(material.folder.findings(CALIBRATION), "calibrators", name)
    if found.missing:
        return found
    rows = [_row(row) for row in found.content.rows]
    return Part({"summary": found.content.summary, "rows": rows})


def _row(row: Any) -> dict[str, Any]:
    difference, error = number(row.get("difference")), number(row.get("standard_error"))
    return {
        "name": cell(row.get("calibrator")),
        "chosen": bool(row.get("chosen")),
        "loss": decimal(row.get("log_loss"), DIGITS),
        "difference": NOTHING if difference is None else f"{difference:+.{DIGITS}f}".replace("-", "−"),
        "error": NOTHING if error is None else f"{error:.{DIGITS}f}",
        "note": str(row.get("note") or ""),
    }
