"""The run that is to be released: finished, and with its evidence around it; nothing here needs torch."""

from pathlib import Path

from linnaea.classifier.bundle import is_bundle
from linnaea.errors import RunError
from linnaea.run import Run


def released(given: str | Path | Run) -> Run:
    """The run to be released; raises RunError where it is none, or has not come to its end."""
    if not isinstance(given, Run) and not Run.is_in(given) and is_bundle(Path(given)):
        around = Path(given).resolve().parent
        place = f"Give the run around it: {around}." if Run.is_in(around) else "Give the run that it came from."
        raise RunError(f"{given} is the bundle of a classifier, without the evidence that it is judged by. {place}")
    run = given if isinstance(given, Run) else Run.open(given)
    run.require_finished()
    return run
