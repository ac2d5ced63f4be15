"""What lies in a run folder, each piece either read or missing with a reason."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from linnaea.errors import RunError
from linnaea.finding import Finding
from linnaea.runtime.cells import rows_in
from linnaea.runtime.files import read_json
from linnaea.runtime.text import decoded

EXPECTED = {
    "run.json": "arguments, versions, plan, timings",
    "ladder.csv": "a row per rung: accuracy and cost",
    "recipe.toml": "what repeats this run",
    "history.csv": "a row per epoch",
    "findings/learning_curves.json": "what the curves of each network show",
    "findings/guessing.json": "whether what was chosen is better than guessing",
    "findings/calibration.json": "which calibrators were compared, and which was chosen",
    "metrics.json": "every figure with its interval",
    "manifest.csv": "every file seen, used or not",
    "datasheet.toml": "what the owner knows about the data, if written down",
    "findings/audit.json": "what the data audit found",
    "findings/val.json": "tables on the validation images",
    "findings/test.json": "tables on the test images",
    "findings/export.json": "whether the exported file gives the same answers",
    "predictions/val.parquet": "a row per validation image",
    "predictions/test.parquet": "a row per test image",
    "model/classifier.json": "classes, preprocessing, calibration, policy",
    "model/README.md": "the model card, for the owner to fill in",
}

OF_TEST = ("findings/guessing.json", "findings/test.json", "predictions/test.parquet")

CURVES = "learning_curves"  # what they were said to show
SEARCH = "search"
GUESSING = "guessing"
CALIBRATION = "calibration"  # which calibrators were compared
EXPLANATION = "explanation"  # what was found where images were explained
REPEATED = ("folds", "seeds")  # what was seen where a training was done again
OPENSET = "openset"  # what was seen of unknown images
FAIRNESS = "fairness"  # what a fairness method costs and gains
COMPRESSION = "compression"  # what making it smaller cost
GROUPS = "groups"  # what was seen of groups of images


@dataclass(frozen=True)
class Part:
    """A piece of a report: its content, or the sentence that says why it is missing; `expected` when that is no gap.

    `partly` says that some of the content is missing.
    """

    content: Any = None
    missing: str = ""
    expected: bool = False
    partly: bool = False


def mapping(value: Any) -> dict[str, Any]:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """The value when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


class Folder:
    """A run folder; `run` is the content of run.json. Raises RunError when that is absent or not a JSON object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run: dict[str, Any] = read_json(path / "run.json")
        if not isinstance(self.run, dict):
            raise RunError(f"{path / 'run.json'} is not a JSON object: it was changed or cut off; run it again.")
        self.dataset = mapping(self.run.get("dataset"))
        self.status = str(self.run.get("status") or "of unknown status")

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def several(self) -> bool:
        """Whether an image may show several labels."""
        return self.dataset.get("task") == "multilabel"

    @property
    def in_tree(self) -> bool:
        """Whether classes lie below groups, so that an answer may be a group."""
        return self.dataset.get("task") == "hierarchical"

    def why(self, otherwise: str = "") -> str:
        """Why something may be missing, from the run's status; `otherwise` is the reason in a finished run."""
        if self.status == "running":
            return "The run had not finished when this report was written."
        if self.status == "interrupted":
            return "The run was interrupted before it was written."
        if self.status == "failed":
            return f"The run failed before it was written: {self.run.get('error') or 'run.json does not say why.'}"
        return otherwise or "The run finished, so the file was removed later or never requested."

    def read(self, name: str, parse: Callable[[Path], Any], otherwise: str = "") -> Part:
        """Parse one file; a file that is absent, or that `parse` refuses, gives a missing part."""
        path = self.path / name
        if not path.is_file():
            return self._absent(f"{name} is not in the run folder.", otherwise)
        try:
            return Part(parse(path))
        except (RunError, OSError, csv.Error, TypeError, ValueError) as error:
            return Part(missing=f"{name} cannot be read, so it is not shown: {error}")

    def json(self, name: str) -> Part:
        """A JSON object."""
        return self.read(name, _read_object)

    def csv(self, name: str, otherwise: str = "") -> Part:
        """A CSV file with a header as a list of dictionaries; one without rows counts as missing."""
        part = self.read(name, lambda path: list(rows_of(path)), otherwise)
        if part.content == []:
            return self._absent(f"{name} has no rows.", otherwise)
        return part

    def _absent(self, what: str, otherwise: str) -> Part:
        return Part(missing=f"{what} {self.why(otherwise)}", expected=bool(otherwise) and self.status == "finished")

    def findings(self, name: str, otherwise: str = "") -> Part:
        """A list of findings from `findings/<name>.json`."""
        return self.read(f"findings/{name}.json", _read_findings, otherwise)

    def other_findings(self) -> list[str]:
        """The names of finding files that this report has no own section for, such as a stress report."""
        known = {"audit", "test", "val", "export", CURVES, CALIBRATION, SEARCH, GUESSING, *REPEATED}
        known |= {EXPLANATION, FAIRNESS, COMPRESSION}
        known |= {stem for name in (OPENSET, GROUPS) for stem in self.named_findings(name)}
        return sorted(path.stem for path in (self.path / "findings").glob("*.json") if path.stem not in known)

    def named_findings(self, name: str) -> list[str]:
        """The names of finding files that are `name`, or begin with it and a hyphen."""
        stems = sorted(path.stem for path in (self.path / "findings").glob(f"{name}*.json"))
        return [stem for stem in stems if stem == name or stem.startswith(f"{name}-")]

    def contents(self) -> list[dict[str, Any]]:
        """The files that a finished run of these splits holds and whether each is there."""
        splits = mapping(self.dataset.get("splits"))
        unlooked = OF_TEST if splits and not splits.get("test") else ()
        return [
            {"name": name, "what": what, "there": (self.path / name).is_file()}
            for name, what in EXPECTED.items()
            if name not in unlooked
        ]


def pick(findings: Part, name: str, where: str) -> Part:
    """The finding of this name; missing when the file is, or when it holds none or one without rows."""
    if findings.missing:
        return findings
    found: Sequence[Finding] = [finding for finding in findings.content if finding.name == name]
    if not found:
        return Part(missing=f"{where} has no finding named {name!r}: the evaluation did not write one.")
    return Part(found[0])


def _read_object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise TypeError("it is not a JSON object")
    return content


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header, one at a time; cells that a short row lacks are empty."""
    rows = rows_in(decoded(path.read_bytes(), str(path)))
    names = next(rows, [])
    yield from (dict(zip_longest(names, row[: len(names)], fillvalue="")) for row in rows if row)


def _read_findings(path: Path) -> list[Finding]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise TypeError("it is not a list of findings")
    findings = [Finding.from_json(entry) for entry in content]
    for finding in findings:
        if not isinstance(finding.name, str) or not isinstance(finding.images, list | tuple):
            raise TypeError("a finding's name is not text, or its images are not a list")
        if not all(isinstance(row, dict) for row in finding.rows):
            raise TypeError("a finding's rows are not JSON objects")
    return findings
