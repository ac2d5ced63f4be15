"""The bundle: JSON and files of weights on disk, each with its SHA-256, refused when a byte of them has changed."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.classifier.content import DESCRIPTION, Content, content_of, is_inner_name, require_names
from linnaea.classifier.forbidden import require_harmless
from linnaea.classifier.migrations import migrated
from linnaea.classifier.schema import ENTRIES
from linnaea.classifier.signature import require_signed
from linnaea.errors import BundleError, RunError
from linnaea.runtime.files import read_json, sha256_of, write_atomically, write_json, write_tensors
from linnaea.runtime.reading import open_regular

if TYPE_CHECKING:
    from torch import Tensor

    from linnaea.classifier.keys import PublicKey

FORMAT, MAJOR, MINOR = "linnaea classifier", 2, 1
EARLIER = re.compile(rf"{FORMAT} (\d+)")  # before there were minor versions
VERSION = re.compile(r"(\d+)\.(\d+)")
WEIGHTS = "weights.safetensors"
LONGEST_DESCRIPTION = 1 << 25  # bytes
logger = logging.getLogger("linnaea")


def write_bundle(
    folder: Path, description: dict[str, Any], tensors: "dict[str, Tensor]", files: Mapping[str, Path] | None = None
) -> Path:
    """Write `classifier.json`, the tensors as `weights.safetensors`, where there are some, and copies of other files.

    The description carries the SHA-256 of all.
    """
    written = [write_tensors(folder / WEIGHTS, tensors)] if tensors else []
    for name, file in (files or {}).items():
        if file.resolve() != (folder / name).resolve():
            write_atomically(folder / name, partial(_copy, file))
        written.append(folder / name)
    content = {"format": FORMAT, "version": f"{MAJOR}.{MINOR}", **description}
    content["files"] = {file.name: sha256_of(file) for file in written}
    write_json(folder / DESCRIPTION, content | {"sha256": _digest(content)})
    return folder


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: its `description`, as today's format has it, its `tensors`, and all files, as `content`.

    `hashed` are the files of which the description has hashes.
    """

    description: dict[str, Any]
    tensors: "dict[str, Tensor]"
    content: Content
    hashed: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The description."""
        return self.content.folder / DESCRIPTION


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds the description of a classifier."""
    return (folder / DESCRIPTION).is_file()


def read_bundle(folder: Path, trusted: "Sequence[PublicKey]" = ()) -> Bundle:
    """The description and the tensors of a bundle, or of the run folder around it.

    Raises BundleError when a file is missing or differs from what was written, leads out of the folder or holds what
    could be run, when a weight is not a number, for a format of a later version, and where keys are `trusted` and none
    of them has signed all of it. Nothing in a bundle is executed.
    """
    content, description, version = read_files(folder)
    if trusted:
        require_signed(content, trusted)
    weights = content.folder / WEIGHTS
    hashed = tuple(description.pop("files"))
    tensors = _tensors(weights) if WEIGHTS in hashed else {}
    return Bundle(*migrated(description, tensors, version), content, hashed)


def read_files(folder: Path) -> tuple[Content, dict[str, Any], tuple[int, int]]:
    """The files of a bundle, what its description says, as it was written, and the version of its format.

    Raises BundleError as `read_bundle` does, but for what the weights hold.
    """
    root = bundle_folder(folder)
    description, version = _description(root)
    hashes = description.get("files")
    if not isinstance(hashes, dict) or not hashes or not all(map(is_inner_name, hashes)):
        raise BundleError(f"{root / DESCRIPTION}: files is {hashes!r}; expected the SHA-256 of {WEIGHTS}.")
    require_names(hashes, str(root / DESCRIPTION))
    content = content_of(root)
    for name, expected in hashes.items():
        if name not in content.files:
            raise BundleError(f"{root / name} is missing: the bundle is incomplete; copy it whole or train again.")
        if content.files[name] != expected:
            raise BundleError(
                f"{root / name} has changed since it was saved (its SHA-256 differs): take the original bundle."
            )
    require_harmless(root, content.files)
    return content, description, version


def bundle_folder(folder: Path) -> Path:
    """The folder of a bundle itself: what is given, or `model` in the folder of a run."""
    if folder.is_file():
        raise BundleError(f"{folder} is a file: expected the folder that it lies in, of a run, a bundle or an export.")
    return folder if (folder / DESCRIPTION).exists() or not (folder / "model").is_dir() else folder / "model"


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


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


def _description(root: Path) -> tuple[dict[str, Any], tuple[int, int]]:
    """What the description says, without its own hash and format, and the version of its format."""
    try:
        _require_short(root / DESCRIPTION)
        content = read_json(root / DESCRIPTION)
    except (RunError, OSError) as error:
        raise BundleError(f"{root} does not hold a readable classifier: {error}") from None
    major, minor = _version_of(content, root / DESCRIPTION)
    if content.pop("sha256", None) != _digest(content):
        raise BundleError(f"{root / DESCRIPTION} has changed since it was saved: take the original bundle.")
    if (major, minor) > (MAJOR, MINOR):
        told = f"{root / DESCRIPTION} is of the version {major}.{minor} of its format, later than {MAJOR}.{MINOR}"
        if major > MAJOR:
            raise BundleError(f"{told}: install the version of Linnaea that wrote it, or a later one.")
        logger.warning(f"{told}: what is new in it is not used.")
        content = {name: value for name, value in content.items() if name in ENTRIES or name == "files"}
    return {name: value for name, value in content.items() if name not in ("format", "version")}, (major, minor)


def _require_short(file: Path) -> None:
    if not file.exists():
        return
    with open_regular(file) as stream:
        size = stream.seek(0, os.SEEK_END)
    if size > LONGEST_DESCRIPTION:
        raise BundleError(
            f"{file} has {size:,} bytes, where {LONGEST_DESCRIPTION:,} are the most: take the original bundle."
        )


def _version_of(content: Any, file: Path) -> tuple[int, int]:
    named = content.get("format") if isinstance(content, dict) else None
    if isinstance(named, str) and (earlier := EARLIER.fullmatch(named)):
        return int(earlier[1]), 0
    version = content.get("version") if isinstance(content, dict) else None
    if named == FORMAT and isinstance(version, str) and (found := VERSION.fullmatch(version)):
        return int(found[1]), int(found[2])
    raise BundleError(f"{file} is not of the format {FORMAT!r}: load it with the version that wrote it.")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
