"""An audit log that is read to its end, to say whether it is what was written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.delivery.serving.audit_log.chain import MOST_NAMED, Fault
from linnaea.delivery.serving.audit_log.policy import IMAGES
from linnaea.delivery.serving.audit_log.reading import read_log
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.files import sha256_of
from linnaea.runtime.words import counted

KEPT = re.compile(r"([0-9a-f]{64})\.\w+")


@dataclass(frozen=True)
class CheckedLog:
    """What was found: how many `answers`, the number and hash of the last line of each chain, faults and notes."""

    folder: Path
    answers: int
    ends: dict[str, tuple[int, str]]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    images: int = 0

    def __str__(self) -> str:
        kept = f" and {counted(self.images, 'kept image')}" if self.images else ""
        lines = [f"{self.folder} holds {counted(self.answers, 'answer')}{kept}."]
        lines += [f"Note: {note}." for note in self.notes]
        if not self.faults:
            lines.append("Nothing in it was edited, cut off or taken away, as far as its own hashes tell.")
        for name, (_, head) in self.ends.items():
            lines.append(f"Head{f' of {name}' if name else ''}: {head}")
        lines += [f"Fault: {fault}" for fault in self.faults]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "folder": str(self.folder),
            "answers": self.answers,
            "images": self.images,
            "heads": {name: {"sequence": sequence, "hash": head} for name, (sequence, head) in self.ends.items()},
            "faults": [{"file": fault.file, "line": fault.line, "what": fault.what} for fault in self.faults],
            "notes": list(self.notes),
        }


def checked_log(folder: Path, heads: Sequence[str] = ()) -> CheckedLog:
    """Read a log and the images that are kept with it; `heads` are hashes noted earlier that must lie in it."""
    log = read_log(folder, heads)
    answers = sum(1 for _ in log.records)
    images, changed = _checked_images(folder / IMAGES)
    return CheckedLog(folder, answers, log.ends, (*log.faults, *changed), tuple(log.notes), images)


def _checked_images(folder: Path) -> tuple[int, list[Fault]]:
    """How many images are kept, and those that are not what their names say."""
    found = [(KEPT.fullmatch(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    kept = sorted((path, match[1]) for match, path in found if match)
    faults = (_fault_of(path, digest) for path, digest in kept)
    return len(kept), [fault for fault in faults if fault is not None][:MOST_NAMED]


def _fault_of(path: Path, digest: str) -> Fault | None:
    try:
        same = sha256_of(path) == digest
    except OSError as error:
        return Fault(f"{IMAGES}/{path.name}", 0, f"cannot be read ({reason_of(error)})")
    return None if same else Fault(f"{IMAGES}/{path.name}", 0, "was changed: its name is the hash of other bytes")
