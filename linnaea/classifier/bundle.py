"""The bundle: JSON and safetensors on disk, each with its SHA-256, refused when a byte of them has changed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import BundleError, RunError
from linnaea.runtime.files import read_json, sha256_of, write_json, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "linnaea classifier 1"
DESCRIPTION, WEIGHTS = "classifier.json", "weights.safetensors"


def write_bundle(folder: Path, description: dict[str, Any], tensors: "dict[str, Tensor]") -> Path:
    """Write `classifier.json` and `weights.safetensors`; the former carries the SHA-256 of both."""
    weights = write_tensors(folder / WEIGHTS, tensors)
    content = {"format": FORMAT, **description, "files": {WEIGHTS: sha256_of(weights)}}
    write_json(folder / DESCRIPTION, content | {"sha256": _digest(content)})
    return folder


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle: its `description`, its `tensors` by name, and the two files they are from."""

    description: dict[str, Any]
    tensors: "dict[str, Tensor]"
    file: Path
    weights: Path


def read_bundle(folder: Path) -> Bundle:
    """The description and the tensors of a bundle, or of the run folder around it.

    Raises BundleError when a file is missing or differs from what was written, and when a weight is not a number.
    Nothing in a bundle is executed.
    """
    root = folder if (folder / DESCRIPTION).exists() or not (folder / "model").is_dir() else folder / "model"
    content, weights = _description(root), root / WEIGHTS
    if not weights.exists():
        raise BundleError(f"{weights} is missing: the bundle is incomplete; copy it whole or train again.")
    hashes = content.get("files")
    if not isinstance(hashes, dict) or list(hashes) != [WEIGHTS]:
        raise BundleError(f"{root / DESCRIPTION}: files is {hashes!r}; expected the SHA-256 of {WEIGHTS}.")
    if sha256_of(weights) != hashes[WEIGHTS]:
        raise BundleError(f"{weights} has changed since it was saved (its SHA-256 differs): take the original bundle.")
    return Bundle(content, _tensors(weights), root / DESCRIPTION, weights)


def _tensors(weights: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise BundleError(
            f"{weights} is not a readable safetensors file ({error}): take the original bundle."
        ) from None
    for name, values in tensors.items():
        wrong = int((~values.isfinite()).sum())
        if wrong:
            raise BundleError(
                f"{weights}: {wrong:,} of {values.numel():,} numbers of {name} are NaN or infinite; expected finite "
                "weights. Such a classifier has no answers: train again."
            )
    return tensors


def _description(root: Path) -> dict[str, Any]:
    try:
        content = read_json(root / DESCRIPTION)
    except RunError as error:
        raise BundleError(f"{root} does not hold a readable classifier: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(
            f"{root / DESCRIPTION} is not of the format {FORMAT!r}: load it with the version that wrote it."
        )
    if content.pop("sha256", None) != _digest(content):
        raise BundleError(f"{root / DESCRIPTION} has changed since it was saved: take the original bundle.")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
