"""A training as it is asked for, by its groups of options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.data.sources.together import nameable, place_of, read_together
from linnaea.dataset import Dataset
from linnaea.experiments.recipe_file import FILE, recipe_of
from linnaea.experiments.run_life import find_unfinished, freeze, new_folder
from linnaea.experiments.several import processes
from linnaea.experiments.training import settle
from linnaea.experiments.training_run import carry_out
from linnaea.learning.rungs import require_use_of_training
from linnaea.options import Decision, Learning, Machine, Options, Preparation, Repetition
from linnaea.options.words import pairs_in


@dataclass(frozen=True)
class Asked:
    """The groups of options of a training, and the names of loggers."""

    preparation: Preparation = Preparation()
    learning: Learning = Learning()
    decision: Decision = Decision()
    machine: Machine = Machine()
    repetition: Repetition = Repetition()
    log: Sequence[str] = ()

    @property
    def groups(self) -> dict[str, Options]:
        """The groups by name."""
        return {
            "preparation": self.preparation,
            "learning": self.learning,
            "decision": self.decision,
            "machine": self.machine,
            "repetition": self.repetition,
        }


def train_as_asked(
    data: str | Path | Dataset,
    asked: Asked,
    out: str | Path | None,
    *,
    resume: bool = False,
    also: Sequence[str | Path | Dataset] = (),
    more: Mapping[str, Any] | None = None,
) -> Classifier:
    """Train on `data` and leave a run in `out`; see `linnaea.train`. `more` are further facts among its arguments."""
    with processes(asked.machine):
        training = settle(
            read_together(data, also) if also else data,
            asked.preparation,
            asked.learning,
            asked.decision,
            asked.machine,
            asked.repetition,
            asked.log,
        )
        require_use_of_training(training.options, training.steps)
        options = {name: value for group in asked.groups.values() for name, value in group.named().items()}
        options["model_args"] = pairs_in(asked.learning.model_args)
        places = {"also": list(map(place_of, also))} if also else {}
        frozen = freeze(training.dataset, {"out": out, "log": asked.log, **places, **options, **(more or {})})
        folder = Path(out) if out is not None else find_unfinished(frozen) if resume else new_folder(training.dataset)
        recipes = {FILE: recipe_of("train", {"data": data, "also": nameable(also), "log": asked.log}, asked.groups)}
        return carry_out(training, folder, frozen, resume=resume, recipes=recipes)
