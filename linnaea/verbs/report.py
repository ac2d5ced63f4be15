"""`report`: write the report of a run again; nothing here needs torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from linnaea.options import RunFolder
from linnaea.runtime.saying import say
from linnaea.verbs.contract import VERBS, told_by


def tell(answer: Callable[[], Path], given: Mapping[str, Any]) -> None:
    """Say where the report is."""
    say(f"The report is in {answer()}.")


@VERBS.register(
    "report", title="Report", meaning="Write the report of a run again: one self-contained HTML file.", order=62
)
@told_by(tell)
def report(run: RunFolder) -> Path:
    """Write the run's report again and return its path; raises RunError where predictions of it have changed."""
    from linnaea.delivery.report import write_report
    from linnaea.run import Run
    from linnaea.runtime.checksums import require_all_unchanged

    folder = (run if isinstance(run, Run) else Run.open(run)).folder
    require_all_unchanged(folder / "predictions")
    return write_report(folder)
