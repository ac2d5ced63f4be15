"""What the command line says of a run that has just come to its end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.runtime.saying import say

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


def tell_new_run(answer: Callable[[], "Classifier"], given: Mapping[str, Any]) -> None:
    """Say what came of a training or a search, where it is, and what comes next."""
    classifier = answer()
    tell_outcome(given["out"] or Path("runs") / classifier.provenance["run"])


def tell_outcome(folder: Path) -> None:
    """Say what came of a training, where it is, and what comes next."""
    say(*_verdict(folder))
    say(f"The run is in {folder}, its report in {folder / 'report.html'}.")
    say(f"Next: linnaea predict {folder} PHOTO.jpg")


def _verdict(folder: Path) -> list[str]:
    """Whether what was promised was kept, what was chosen and why, and how good it is."""
    from linnaea.delivery.report.words import metric_named
    from linnaea.finding import Estimate, Finding, promises_in, undecided_in_one
    from linnaea.runtime.files import read_json
    from linnaea.task import TASKS

    record, figures = read_json(folder / "run.json"), read_json(folder / "metrics.json")
    task = TASKS[record["dataset"]["task"]]
    split, metric = "test" if "test" in figures else "val", task.metric
    findings = map(Finding.from_json, read_json(folder / "findings" / f"{split}.json"))
    first, later = promises_in(findings)
    figure, of = Estimate(**figures[split][metric]), "of" if metric == "accuracy" else "on"
    whose = " of the most probable class" if task.hierarchical else ""
    reached = f"{metric_named(metric).title}{whose} on {split}: {figure} {of} {figure.n} images."
    stated = [finding.summary for finding in first]
    rates = undecided_in_one(later)
    return [*stated, record["chosen_because"], reached, *_no_better(folder), *_repeated(folder), *rates]


def _no_better(folder: Path) -> list[str]:
    """That what was chosen is not better than guessing on test, where that is so."""
    from linnaea.runtime.files import read_json

    file = folder / "findings" / "guessing.json"
    found = read_json(file) if file.is_file() else []
    return [finding["summary"] for finding in found if finding["severity"] != "info"]


def _repeated(folder: Path) -> list[str]:
    """What was found over folds and seeds, where the training was repeated; warnings were said as they arose."""
    from linnaea.runtime.files import read_json

    files = [folder / "findings" / f"{name}.json" for name in ("search", "folds", "seeds")]
    found = [finding for file in files if file.is_file() for finding in read_json(file)]
    return [finding["summary"] for finding in found if finding["severity"] == "info"]
