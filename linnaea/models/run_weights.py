"""Weights of a run: the body of its network, as a file of weights would have it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.errors import UsageError
from linnaea.models.weights_files import Content, read_content
from linnaea.runtime.files import read_json, sha256_of

DESCRIPTION, WEIGHTS, MODEL = "classifier.json", "weights.safetensors", "model"
BODY = "scorer/body."
WHILE_TRAINING = ("drop_rate", "drop_path_rate")  # arguments of a training, not of the network


def bundle_at(path: Path) -> Path | None:
    """The folder of the classifier that a path means: a run, a bundle, or the weights in one; None for all else."""
    places = [path, path / MODEL] if path.is_dir() else [path.parent] if path.name == WEIGHTS else []
    return next((place for place in places if (place / DESCRIPTION).is_file()), None)


def weights_in(bundle: Path) -> Path:
    """The file with the weights of a bundle; raises UsageError where there is none."""
    file = bundle / WEIGHTS
    if not file.is_file():
        raise UsageError(f"the classifier in {bundle} has no weights: expected a run whose model is a network.")
    return file


def read_bundle_weights(bundle: Path) -> Content:
    """The body of the network of a run, and what is said of it; nothing is executed.

    Raises UsageError where its classifier is no network of timm or torchvision, and where its weights have changed.
    """
    file, told = weights_in(bundle), _dictionary(read_json(bundle / DESCRIPTION))
    if sha256_of(file) != _dictionary(told.get("files")).get(WEIGHTS):
        raise UsageError(f"{file} has changed since it was saved (its SHA-256 differs): take the original run.")
    model = _dictionary(_dictionary(_dictionary(told.get("scorer")).get("arguments")).get("model"))
    if model.get("kind") != "network":
        rung = _dictionary(told.get("provenance")).get("rung") or model.get("kind") or "of an earlier format"
        raise UsageError(
            f"the classifier in {bundle} is {rung}, whose weights cannot be trained on: expected a run whose model is "
            "a network of timm or torchvision."
        )
    tensors = read_content(file).state
    state = {name.removeprefix(BODY): value for name, value in tensors.items() if name.startswith(BODY)}
    return Content(state, _facts(bundle, model["arguments"], _dictionary(told.get("provenance"))))


def _facts(bundle: Path, network: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, str]:
    """What the header of a file of weights would say."""
    arguments = {name: value for name, value in network["arguments_of_body"].items() if name not in WHILE_TRAINING}
    licence = _dictionary(provenance.get("weights")).get("licence")
    run = bundle.parent if bundle.name == MODEL else bundle
    return {
        "architecture": network["name"],
        "model_args": json.dumps(arguments),
        "mean": str(network["mean"]),
        "std": str(network["std"]),
        "input_size": str(network.get("seen") or network["size"]),
        "channels": str(network.get("channels", 3)),
        "source": f"run {provenance.get('run') or run.name}",
        "run": str(run),
        **({"licence": licence} if licence else {}),
        **({"operations": json.dumps(network["operations"])} if "operations" in network else {}),
    }


def _dictionary(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
