"""The record of a check in a bundle, `check.json`: who signed it off, and whether that still speaks of the bundle."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier.content import DESCRIPTION
from linnaea.errors import RunError
from linnaea.runtime.files import read_json, sha256_of, write_json

FILE = "check.json"
RECORD = "run.json"
FORMAT = "linnaea check 1"
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class SignOff:
    """What `check.json` holds, and why it no longer speaks of the files beside it: `void` is empty where it does."""

    content: Mapping[str, Any]
    void: str = ""

    @property
    def signed_by(self) -> str:
        """Who signed it off; empty where nobody did."""
        return str(self.content.get("signed_off_by") or "")


def write_sign_off(
    model_folder: Path, content: Mapping[str, Any], files: Mapping[str, Path], parts: Mapping[str, Any]
) -> Path:
    """Write `check.json` into a bundle, with the SHA-256 of `files`, by the names they have seen from the run.

    Of `run.json`, which changes with each look at the test split, only `parts` are held to, by their keys.
    """
    hashes = {name: sha256_of(file) for name, file in files.items()}
    whole = {"format": FORMAT, **content, "sha256_of_files": hashes}
    whole["sha256_of_record"] = {part: _digest(value) for part, value in parts.items()}
    return write_json(model_folder / FILE, whole | {"sha256": _digest(whole)})


def read_sign_off(model_folder: Path, *, run: Path | None = None) -> SignOff | None:
    """The record of the check beside a bundle, None where there is none.

    It is void where it was edited, and where `classifier.json`, which has the hashes of the weights, is another one; of
    the `run` around the bundle, also where another file that was checked has changed or is gone.
    """
    path = model_folder / FILE
    if not path.is_file():
        return None
    try:
        content = read_json(path)
    except RunError as error:
        return SignOff({}, f"it cannot be read: {error}")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return SignOff({}, f"it is not of the format {FORMAT!r}")
    if _digest({name: value for name, value in content.items() if name != "sha256"}) != content.get("sha256"):
        return SignOff(content, "it was edited after the check")
    void = _changed(content.get("sha256_of_files") or {}, model_folder, run)
    if not void and run is not None:
        void = _changed_record(content.get("sha256_of_record") or {}, run / RECORD)
    return SignOff(content, void)


def warn_of_void(model_folder: Path) -> None:
    """Say so where the record of a check lies beside a bundle that is not the one that was checked."""
    found = read_sign_off(model_folder)
    if found is not None and found.void:
        whose = f"the sign-off by {found.signed_by}" if found.signed_by else "the check"
        logger.warning(f"{model_folder / FILE}: {whose} is void: {found.void}. Run `linnaea check` again.")


def _changed(hashes: Mapping[str, str], model_folder: Path, run: Path | None) -> str:
    own = f"model/{DESCRIPTION}"
    if own not in hashes:
        return "it does not say which bundle was checked"
    checked = {own: model_folder / DESCRIPTION} if run is None else {name: run / name for name in hashes}
    for name, file in checked.items():
        if not file.is_file():
            return f"{name} is gone since the check"
        if sha256_of(file) != hashes[name]:
            return f"{name} has changed since the check"
    return ""


def _changed_record(hashes: Mapping[str, str], path: Path) -> str:
    try:
        record = read_json(path) if path.is_file() else None
    except RunError:
        record = None
    if not isinstance(record, dict):
        return f"{path.name} is gone or cannot be read since the check"
    changed = [part for part, digest in hashes.items() if _digest(record.get(part)) != digest]
    return f"{changed[0]!r} of {path.name} has changed since the check" if changed else ""


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
