"""The contract of a rule of the release gate, and what it sees of a run.

A rule is a small function of a `Case`, whose keywords are what a rules file may set:

    @RULES.register("calibration", title="Calibration", order=80)
    def calibration(case: Case, *, most: Annotated[float, Parameter("Highest error.", 0, 1)] = 0.05) -> Judgement: ...

It answers with a `Judgement`, or raises NotDoneError where what it would judge by is not there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from linnaea.data.datasheet import FILE, Datasheet, read_datasheet
from linnaea.dataset import Dataset
from linnaea.decisions import Policy
from linnaea.errors import LinnaeaError
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.registry import Registry
from linnaea.run import Run
from linnaea.runtime.files import read_json
from linnaea.task import TASKS

PASS, FAIL, TOO_FEW, NOT_DONE, WAIVED = "pass", "fail", "too few", "not done", "waived"
OUTCOMES = (FAIL, TOO_FEW, NOT_DONE, WAIVED, PASS)  # the gravest first
METRICS, TEST = "metrics.json", "test"


class NotDoneError(LinnaeaError):
    """What a rule judges by is not there: why, and how to `mend` that."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.mend = mend


@dataclass(frozen=True)
class Evidence:
    """One fact that a verdict rests on: what it is, the file of the run it comes from, its figure and what was asked.

    `needed` is about how many further images would decide it, where these are too few.
    """

    what: str
    file: str
    outcome: str
    figure: Estimate | None = None
    asked: str = ""
    needed: int | None = None


@dataclass(frozen=True)
class Judgement:
    """What a rule finds: one of `OUTCOMES`, the sentence that says why, the evidence, and how to mend what is amiss."""

    outcome: str
    sentence: str
    evidence: Sequence[Evidence] = ()
    mend: str = ""


class Look(Protocol):
    """Trials that are made only where a rule asks for them; each raises NotDoneError where it cannot be made."""

    def lost(self, changes: Sequence[str], images: int) -> Mapping[str, Estimate]:
        """What each change of so many images costs in the metric of the task, from paired answers."""

    def strangers(self, images: int) -> Mapping[str, Estimate]:
        """The share of each kind of synthetic strangers that is not answered as if it were known."""

    def exports(self) -> Sequence[Finding]:
        """For each export beside the run, whether it still answers as the classifier does."""


@dataclass(frozen=True, eq=False)
class Case:
    """A finished run before the gate: its files, read when a rule asks for them, and trials on its own images."""

    run: Run
    look: Look

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `run.json` holds."""
        return self.run.record()

    @cached_property
    def bundle(self) -> dict[str, Any]:
        """What `model/classifier.json` says of the classifier."""
        return dict(read_json(self.run.model_folder / "classifier.json"))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.bundle["classes"])

    @cached_property
    def policy(self) -> Policy:
        """By which it decides."""
        return Policy.from_json(self.bundle["policy"])

    @cached_property
    def dataset(self) -> Dataset:
        """What the run was trained and judged on."""
        return self.run.dataset()

    @cached_property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """The figures of everything that was judged, by name."""
        path = self.run.folder / METRICS
        content = read_json(path) if path.is_file() else {}
        return {name: {key: Estimate(**figure) for key, figure in figures.items()} for name, figures in content.items()}

    def figure(self, name: str) -> Estimate:
        """A figure of the test split."""
        self.require_test()
        found = self.metrics.get(TEST, {}).get(name)
        if found is None:
            raise NotDoneError(
                f"the run has no {name} of the test split in {METRICS}.", f"linnaea evaluate {self.run.folder}"
            )
        if found.value is None or found.lo is None or found.hi is None:
            raise NotDoneError(f"the {name} has no interval: {found.method}.", "Give the test split more images.")
        return found

    @cached_property
    def predictions(self) -> Predictions:
        """What was answered for the test split."""
        self.require_test()
        return self.run.predictions(TEST)

    def require_test(self) -> None:
        """Raise NotDoneError where there is no test split."""
        if not (self.run.folder / "predictions" / f"{TEST}.parquet").is_file():
            raise NotDoneError(
                "there is no test split: the validation images chose the model, and decide nothing.",
                "Give the data a test split, and train again.",
            )

    def findings(self, name: str, mend: str) -> list[Finding]:
        """What was found under a name; `mend` is what finds it."""
        if not (self.run.folder / "findings" / f"{name}.json").is_file():
            raise NotDoneError(f"the run has no findings/{name}.json.", mend)
        return self.run.findings(name)

    @property
    def metric(self) -> str:
        """The name of the task's own metric."""
        return TASKS[self.bundle["task"]].metric

    @cached_property
    def sheet(self) -> Datasheet:
        """The datasheet that was trained with."""
        path = self.run.folder / FILE
        if not path.is_file():
            raise NotDoneError(
                "the run has no datasheet.",
                f"Write one with `linnaea datasheet {self.place_of_data}`, answer its questions, and put it into "
                f"{path}; the next training copies it.",
            )
        return read_datasheet(path)

    @property
    def place_of_data(self) -> Path:
        """Where the images were."""
        return Path(str(self.record["dataset"]["root"]))


Rule = Callable[..., Judgement]
RULES: Registry[Rule] = Registry(
    "rule of the release gate",
    "linnaea.evidence.gate",
    title="Rules of the release gate",
    use="Run by `linnaea check`; a table of its name in a rules file sets its parameters.",
)
