"""The book of a search: every trial in a file of the run, which a later process goes on with."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import MissingExtraError
from linnaea.experiments.search.space import Value

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

FILE = "search.journal"
OVER_FOLDS = "over folds"  # how the figure of a trial is made that is judged by several
FINISHED, PRUNED, FAILED, CUT = "finished", "pruned", "failed", "cut off"


def require_optuna() -> None:
    """Raise MissingExtraError where optuna is not installed."""
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "search") from None
    optuna.logging.set_verbosity(logging.WARNING)


@dataclass(frozen=True)
class Entry:
    """A trial as the book has it: its values, how it ended, its loss on val, and what else was written down of it.

    The loss of a pruned trial is the lowest one it reached; None where it reached none.
    """

    number: int
    values: Mapping[str, Value]
    status: str
    loss: float | None
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Book:
    """One search in the file of a run; `name` keeps several of them apart."""

    study: "Study"

    file: Path

    @classmethod
    def open(cls, file: Path, name: str) -> "Book":
        """The book of this name in a file, which is made where it is not there; no other process may be at work in it.

        A line that was half written when a process was killed is cut off.
        """
        _drop_half_line(file)
        return cls.join(file, name)

    @classmethod
    def join(cls, file: Path, name: str) -> "Book":
        """The same, where others are at work in it as well."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        file.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(file)))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3, n_min_trials=3)
        study = optuna.create_study(
            storage=storage, study_name=name, direction="minimize", pruner=pruner, load_if_exists=True
        )
        return cls(study, file)

    def begin(self, propose: "Callable[[Study, int], Trial]") -> "Trial":
        """A trial that was broken off, or the next one, as `propose` proposes it by its number."""
        broken = self.broken
        return self.again(broken[0]) if broken else self.propose(propose)

    def propose(self, propose: "Callable[[Study, int], Trial]") -> "Trial":
        """The next trial, as `propose` proposes it by its number."""
        return propose(self.study, len(self.study.get_trials(deepcopy=False)))

    def again(self, number: int) -> "Trial":
        """A trial that was begun, in whatever process."""
        import optuna

        return optuna.trial.Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)

    @property
    def broken(self) -> "list[int]":
        """The trials that were begun and did not end."""
        from optuna.trial import TrialState

        return [one.number for one in self.study.get_trials(deepcopy=False) if one.state == TrialState.RUNNING]

    def end(self, trial: "Trial", status: str, loss: float | None, **told: Any) -> None:
        """Write down how a trial ended."""
        from optuna.trial import TrialState

        for name, value in {"status": status, "loss": loss, **told}.items():
            trial.set_user_attr(name, value)
        states = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}
        self.study.tell(trial, loss if status == FINISHED else None, state=states.get(status, TrialState.FAIL))

    def add(self, values: Mapping[str, Value], distributions: Mapping[str, Any], **told: Any) -> int:
        """Write down a trial that ended elsewhere, its `status` and `loss` among what is told; returns its number."""
        import optuna
        from optuna.trial import TrialState

        finished = told["status"] == FINISHED
        trial = optuna.create_trial(
            params=dict(values),
            distributions=dict(distributions),
            state=TrialState.COMPLETE if finished else TrialState.FAIL,
            value=told["loss"] if finished else None,
            user_attrs=told,
        )
        self.study.add_trial(trial)
        return len(self.study.get_trials(deepcopy=False)) - 1

    @property
    def entries(self) -> list[Entry]:
        """The trials that ended, in their order."""
        return [_entry(trial) for trial in self.study.get_trials(deepcopy=False) if "status" in trial.user_attrs]

    @property
    def best(self) -> Entry | None:
        """The finished trial with the lowest loss, the first of equal ones."""
        finished = [entry for entry in self.entries if entry.status == FINISHED and entry.loss is not None]
        return min(finished, key=lambda entry: entry.loss or 0.0, default=None)


def _entry(trial: "FrozenTrial") -> Entry:
    told = trial.user_attrs
    return Entry(trial.number, trial.params, told["status"], told["loss"], told)


def _drop_half_line(file: Path) -> None:
    """Cut off the line that a process was writing when it was killed."""
    if not file.exists():
        return
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        file.write_bytes(content[: content.rfind(b"\n") + 1])


def statuses(entries: Sequence[Entry]) -> dict[str, int]:
    """How many trials ended in each way."""
    found = [entry.status for entry in entries]
    return {status: found.count(status) for status in (FINISHED, PRUNED, FAILED, CUT) if status in found}
