"""The steps of a ladder, as `--model` and `--weights` ask for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linnaea.errors import UsageError
from linnaea.learning.model_names import kind_of, names_in
from linnaea.learning.pipeline_names import pipeline_of
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.pipelines import rung_of
from linnaea.models.bodies import require_network
from linnaea.models.network_arguments import typed_arguments
from linnaea.models.weights import Weights, find_weights


@dataclass(frozen=True)
class Step:
    """One step of a ladder: a rung under the name it has in the run, with the network and weights it uses.

    `arguments` are those that were asked for of the network.
    """

    name: str
    rung: Rung
    network: str | None = None
    weights: Weights | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def steps_for(
    model: str, weights: str | Path = "auto", arguments: Mapping[str, Any] | None = None
) -> tuple[list[Step], list[str]]:
    """The steps that `--model` and `--weights` ask for, in their order, and notes on the weights found.

    `model` is "auto", every rung that can be had, the cheapest first, or names joined by commas: each a rung, a
    registered model, which is trained from scratch, a classical pipeline such as `hog+svm`, or a network, which is
    fine-tuned when its weights are there and trained from scratch when not; `arguments` are those of the networks.
    Raises UsageError for an unknown name, for arguments that a network does not have, and for a rung whose weights
    cannot be had.
    """
    arguments = arguments or {}
    if model == "auto":
        if arguments:
            raise UsageError("arguments are given, but no network they are for: name it with --model.")
        found, note = find_weights(weights, None)
        fitting = [(name, rung) for name, rung in RUNGS.items() if rung.pretrained in (None, found is not None)]
        return [Step(name, rung, weights=found if rung.pretrained else None) for name, rung in fitting], [note]
    made = [_step(name, weights, arguments) for name in names_in(model)]
    if str(weights) not in ("auto", "none") and not any(step.weights for step, _ in made):
        raise UsageError(
            f"{model} does not use pretrained weights, and --weights is {weights}: leave it out or add frozen."
        )
    return [step for step, _ in made], [note for _, note in made if note]


def _step(name: str, given: str | Path, arguments: Mapping[str, Any]) -> tuple[Step, str]:
    kind = kind_of(name)
    if kind in ("rung", "pipeline") and arguments:
        raise UsageError(
            f"the {kind} {name!r} takes no arguments of a network, and {', '.join(arguments)} was given: name a "
            "network."
        )
    if kind == "pipeline":
        return Step(name, rung_of(pipeline_of(name))), ""
    if kind == "model":
        return Step(name, RUNGS["scratch"], name, arguments=typed_arguments(name, arguments)), ""
    if kind == "network":
        require_network(name)
        own = typed_arguments(name, arguments)
        found, note = find_weights(given, name, own)
        return Step(name, RUNGS["finetune" if found else "scratch"], name, found, own), note
    if not RUNGS[name].pretrained:
        return Step(name, RUNGS[name]), ""
    found, note = find_weights(given, None)
    if found is None:
        raise UsageError(f"the rung {name!r} needs pretrained weights. {note} Give a file with --weights.")
    return Step(name, RUNGS[name], weights=found), note
