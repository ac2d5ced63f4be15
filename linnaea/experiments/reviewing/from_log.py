"""Images that a server kept beside its audit log, with what it answered."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from linnaea.data.review import Facts
from linnaea.delivery.reviewing.items import Item, doubt_of, why_of
from linnaea.delivery.serving.audit_log import read_log
from linnaea.errors import DataError
from linnaea.predictions import label_text
from linnaea.runtime.words import counted

IMAGES = "images"


def is_log(folder: Path) -> bool:
    """Whether a folder is that of an audit log, or of one with a chain for each worker."""
    return folder.is_dir() and any(next(folder.glob(f"{below}audit-*.jsonl"), None) for below in ("", "*/"))


def items_of_log(folder: Path) -> tuple[list[Item], dict[str, int], list[str]]:
    """The images that were answered, each once with its last answer; others by reason, and what is wrong with the log.

    Raises DataError where none was kept.
    """
    log, kept = read_log(folder), _kept(folder)
    answered = {record["sha256"]: record for record in log.records if record.get("sha256")}
    there = [record for digest, record in answered.items() if digest in kept]
    if not there:
        raise DataError(
            f"{folder} tells of {counted(len(answered), 'image')} and kept none of them: start the server with "
            "--keep-images, or give a folder of images with --from."
        )
    ranks = ranks_of([_number(record["answer"].get("ood_score")) for record in there])
    items = [_item(record, kept[record["sha256"]], rank) for record, rank in zip(there, ranks, strict=True)]
    left_out = Counter({"not kept by the server": len(answered) - len(there)})
    return items, dict(+left_out), [str(fault) for fault in log.faults]


def _item(record: Mapping[str, Any], path: Path, rank: float | None) -> Item:
    answer = record["answer"]
    confidence, reason = _number(answer.get("confidence")), str(answer.get("reason") or "")
    facts = Facts(
        "" if answer.get("label") is None else label_text(answer["label"]),
        confidence,
        reason,
        str(record.get("request") or ""),
        record.get("place"),
        str(record["time"]),
    )
    return Item(path, doubt_of(reason, confidence, rank), why_of(reason, confidence), facts, sha256=record["sha256"])


def _kept(folder: Path) -> dict[str, Path]:
    """The images beside the log, by their hash."""
    return {path.stem: path for path in _images(folder) if not path.name.startswith(".")}


def _images(folder: Path) -> Iterator[Path]:
    yield from (folder / IMAGES).glob("*")
    yield from folder.glob(f"*/{IMAGES}/*")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def ranks_of(scores: list[float | None]) -> list[float | None]:
    """The share of the others with a lower score, for each; None where there is none."""
    known = sorted(score for score in scores if score is not None)
    if len(known) < 2:
        return [None if score is None else 1.0 for score in scores]
    return [None if score is None else bisect_left(known, score) / (len(known) - 1) for score in scores]
