"""The report of a run: one HTML file, read without a network, a script or anything else beside it."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.dataset import Dataset
from linnaea.finding import Finding
from linnaea.runtime.files import write_text

__all__ = ["write_audit", "write_report"]


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder from the files that lie there, and return its path.

    The same files give the same bytes. What a half-finished run lacks is named in the report, with the reason.
    Raises RunError when `run.json` is absent or not JSON.
    """
    from linnaea.delivery.report.page import render  # matplotlib and jinja2 are slow to import, this package is not

    return write_text(run / "report.html", render(run))


def write_audit(findings: Sequence[Finding], dataset: Dataset, place: Path) -> Path:
    """Write what an audit found in a dataset, with images, to one HTML file, and return its path."""
    from linnaea.delivery.report.page import render_audit

    return write_text(place, render_audit(findings, dataset))
