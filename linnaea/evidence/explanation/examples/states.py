"""The states of a network that its run has kept: what it was at some moments of its training, and what it became."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from linnaea.evidence.explanation.subject import Subject
from linnaea.models import Model
from linnaea.run import Run
from linnaea.runtime.words import counted

OF_MODEL = "model/"


class States(NamedTuple):
    """The models, the finished one first, and what should be known of them."""

    models: tuple[Model, ...]
    said: str


def states_of(subject: Subject) -> States:
    """The finished model and those of the checkpoints of its run, each once."""
    final = subject.classifier.model
    models, faults = [final], list[str]()
    for path in _checkpoints(subject.run, subject.classifier.provenance):
        try:
            model = _filled(final, path)
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            faults.append(f"The checkpoint {path.name} was left out: {str(error).splitlines()[0]}")
            continue
        if not any(_same(model, known) for known in models):
            models.append(model)
    if len(models) == 1:
        told = "The final weights alone are looked at: the run has no other checkpoint."
    else:
        told = f"Summed over the final weights and {counted(len(models) - 1, 'other checkpoint')}, all counting alike."
    return States(tuple(models), " ".join([told, *faults]))


def _checkpoints(run: Run | None, provenance: dict[str, Any]) -> Iterator[Path]:
    """The files in which the training of this classifier has kept weights."""
    rung = provenance.get("rung")
    if run is not None and isinstance(rung, str):
        yield from sorted((run.folder / "checkpoints" / rung).glob("*.safetensors"))


def _filled(model: Model, path: Path) -> Model:
    """A copy with the weights in a checkpoint; raises RuntimeError where they are those of another network."""
    with safe_open(path, framework="pt") as handle:
        names = [name for name in handle.keys() if name.startswith(OF_MODEL)]  # noqa: SIM118  not a dictionary
        weights: dict[str, Tensor] = {name.removeprefix(OF_MODEL): handle.get_tensor(name) for name in names}
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise ValueError("not all of its weights are numbers.")
    copied = copy.deepcopy(model)
    copied.load_state_dict(weights)
    return copied.eval()


def _same(first: Model, second: Model) -> bool:
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[name].to(value.device)) for name, value in first.state_dict().items())
