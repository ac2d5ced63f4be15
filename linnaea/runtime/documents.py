"""Small JSON documents under a key, a file each: whole or absent, whoever writes at the same time."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.runtime.files import write_json


def read_document(folder: Path, key: Mapping[str, Any]) -> Any:
    """What was kept under exactly this key, None where nothing was; raises OSError, ValueError for a damaged file."""
    try:
        content = json.loads(_place(folder, key).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(content, dict) or content.get("key") != _plain(key):
        raise ValueError("the file belongs to another key")
    return content["content"]


def write_document(folder: Path, key: Mapping[str, Any], content: Any) -> None:
    """Keep JSON types under a key; raises OSError when the disk refuses, and leaves what was there."""
    write_json(_place(folder, key), {"key": _plain(key), "content": content})


def documents(folder: Path) -> list[Path]:
    """The files of the folder, none where there is no such folder."""
    return sorted(folder.glob("*.json"))


def _plain(key: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(key)))


def _place(folder: Path, key: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    return folder / f"{digest[:32]}.json"
