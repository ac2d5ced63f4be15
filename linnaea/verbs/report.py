"""`report`: write the report of a run again."""

from pathlib import Path

from linnaea.delivery.report import write_report
from linnaea.run import Run
from linnaea.runtime.checksums import require_all_unchanged


def report(run: str | Path) -> Path:
    """Write the run's report again and return its path; raises RunError where predictions of it have changed."""
    folder = Run.open(run).folder
    require_all_unchanged(folder / "predictions")
    return write_report(folder)
