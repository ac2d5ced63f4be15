"""A folder of images that somebody looked at: each once, with its right label, and how that came about.

    REVIEW/
      review.csv      a row per image: path,label,was,confidence,reason,request,place,time,excluded
      images/         the images, each under the SHA-256 of its bytes
      none/           those that show none of the classes
      history.jsonl   what was filed and undone, a line each; nothing is ever taken out of it

`linnaea train REVIEW` takes it as it is. Several processes may file into one folder at a time.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from linnaea.errors import DataError, UsageError
from linnaea.runtime.cells import as_csv, escape, holds_several, join_cell, records_in, rows_in, split_cell, unescape
from linnaea.runtime.files import write_atomically, write_text
from linnaea.runtime.images import suffix_of
from linnaea.runtime.locks import LOCK, held_soon
from linnaea.runtime.text import decoded, lines_of, read_text

TABLE, HISTORY, IMAGES, NONE = "review.csv", "history.jsonl", "images", "none"
COLUMNS = ("path", "label", "was", "confidence", "reason", "request", "place", "time", "excluded")
NONE_OF_THESE = "none of the classes"
LONGEST = 1_000  # letters of a label
LONGEST_CELL = 100_000  # letters: readers of CSV refuse a table with a longer one
Label = str | Sequence[str] | None
Row = dict[str, str]


@dataclass(frozen=True)
class Facts:
    """What is known of an image that is filed: `was` is the answer it got, `reason` why it was answered or looked at.

    `request` and `place`, from 0, are where a server's log has it, `time` when it was seen, ISO 8601.
    """

    was: str = ""
    confidence: float | None = None
    reason: str = ""
    request: str = ""
    place: int | None = None
    time: str = ""


@dataclass(frozen=True)
class Reviewed:
    """An image that was filed: its SHA-256, its path in the folder, and its label.

    The label is a name; of several labels a tuple, which may be empty; None for an image of none of the classes.
    """

    sha256: str
    path: str
    label: str | tuple[str, ...] | None
    facts: Facts = Facts()


@dataclass(frozen=True)
class Change:
    """What filing or undoing did to an image: how it stood `before`, and how it stands `after`; None: not there."""

    sha256: str
    before: Reviewed | None
    after: Reviewed | None


@dataclass(frozen=True)
class ReviewFolder:
    """Files images with their right labels in a folder, which is made when the first is filed."""

    folder: Path

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder is one of these, by the header of its table."""
        try:
            with (folder / TABLE).open(encoding="utf-8") as file:
                return file.readline(1_000).startswith("path,label,was,")
        except (OSError, ValueError):
            return False

    def file(self, image: bytes, label: Label, facts: Facts = Facts()) -> Change:
        """Keep an image's bytes under their hash, once, and its right label in place of any earlier one.

        `label` is a name, several names for an image that may show several classes, or None where it shows none of
        them. Raises DataError for bytes that begin like no image, UsageError for what the table cannot hold.
        """
        suffix, cell = suffix_of(image), _cell_of(label)
        if not suffix:
            raise DataError(
                f"these {len(image):,} bytes begin like no image that can be read: expected JPEG, PNG, WebP, GIF, BMP "
                "or TIFF."
            )
        digest = hashlib.sha256(image).hexdigest()
        row = {
            "path": f"{NONE if label is None else IMAGES}/{digest}{suffix}",
            "label": cell,
            "was": facts.was,
            "confidence": "" if facts.confidence is None else f"{facts.confidence:.4f}",
            "reason": facts.reason,
            "request": facts.request,
            "place": "" if facts.place is None else str(facts.place),
            "time": facts.time or _now(),
            "excluded": NONE_OF_THESE if label is None else "",
        }
        _require_short(row)
        with self._changing() as rows:
            if label is not None:
                self._require_same_kind(cell, digest, rows)
            place = self.folder / row["path"]
            if not (place.is_file() and place.stat().st_size == len(image)):
                write_atomically(place, lambda partial: partial.write_bytes(image))
            before = rows.get(digest)
            rows[digest] = {**(before or {}), **row}
            self._write(rows)
            self._append({"action": "file", "sha256": digest, "row": rows[digest], "before": before})
            self._remove(before, rows)
        return _change(digest, before, row)

    def undo(self, sha256: str | None = None) -> Change | None:
        """Take back the last filing, or the last of one image; None where there is nothing left to undo.

        What stood in the table before stands there again. Raises DataError where the row was changed by hand since.
        """
        with self._changing() as rows:
            event = next((one for one in reversed(self._standing()) if sha256 in (None, one["sha256"])), None)
            if event is None:
                return None
            digest, before, filed = event["sha256"], event["before"], event["row"]
            if any(rows.get(digest, {}).get(name) != filed[name] for name in COLUMNS):
                raise DataError(
                    f"{self.folder / TABLE} was changed by hand after {digest[:12]}... was filed: undo that there."
                )
            if before is None:
                del rows[digest]
            else:
                self._move(filed["path"], before["path"])
                rows[digest] |= before
            self._write(rows)
            self._append({"action": "undo", "of": event["number"], "sha256": digest})
            self._remove(filed, rows)
        return _change(digest, filed, before)

    def reviewed(self) -> dict[str, Reviewed]:
        """Every image that is filed, by its SHA-256, in the order in which they were filed first."""
        return {digest: _reviewed(digest, row) for digest, row in self._rows().items() if _is_digest(digest)}

    def history(self) -> list[dict[str, Any]]:
        """What was filed and undone, the first first; a last line that was cut off is left out."""
        try:
            lines = lines_of(read_text(self.folder / HISTORY))
        except DataError:
            if (self.folder / HISTORY).exists():
                raise
            return []
        events = []
        for number, line in enumerate(lines, 1):
            try:
                events.append({"number": number, **json.loads(line)})
            except (ValueError, TypeError):
                if number < len(lines):
                    raise DataError(f"{self.folder / HISTORY}, line {number} is not JSON: it was changed.") from None
        return events

    def _standing(self) -> list[dict[str, Any]]:
        """The filings that were not undone."""
        events = self.history()
        undone = {event.get("of") for event in events if event["action"] == "undo"}
        return [event for event in events if event["action"] == "file" and event["number"] not in undone]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Row]]:
        """The rows, while nobody else changes them."""
        self.require_ours()
        with held_soon(self.folder):
            yield self._rows()

    def require_ours(self) -> None:
        """Raise UsageError where the folder is a file, or that of something else; it may be missing."""
        if not self.folder.exists() or (self.folder / TABLE).is_file():
            return
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file: expected a folder to keep reviewed images in.")
        # The folder of another writer, who is about to write its table, has that table under a hidden name.
        names = (one.name for one in self.folder.iterdir())
        strange = [name for name in names if name not in (LOCK, IMAGES, NONE) and not name.startswith(f".{TABLE}.")]
        if strange:
            raise UsageError(
                f"{self.folder} holds {sorted(strange)[0]!r} and no {TABLE}: it is the folder of something else. "
                "Choose another, or an empty one."
            )

    def _rows(self) -> dict[str, Row]:
        """The rows of the table by the name of their image; rows that were added by hand among them."""
        place = self.folder / TABLE
        if not place.exists():
            return {}
        text = decoded(place.read_bytes(), str(place))
        try:
            header, rows = next(rows_in(text), []), list(records_in(text))
        except csv.Error as error:
            raise DataError(f"{place} cannot be read ({error}): save it as CSV separated by commas.") from None
        if not {"path", "label"} <= set(header):
            raise DataError(f"{place} has the columns {', '.join(header)}: expected {','.join(COLUMNS)}.")
        return {_key_of(row["path"]): dict.fromkeys(COLUMNS, "") | row for row in rows}

    def _require_same_kind(self, cell: str, digest: str, rows: dict[str, Row]) -> None:
        others = (row["label"] for name, row in rows.items() if name != digest and not row["excluded"])
        if any(holds_several(other) != holds_several(cell) for other in others):
            raise UsageError(
                f"{self.folder} holds images with one label each beside this with several, or the other way round: "
                "file them in a folder of their own."
            )

    def _write(self, rows: dict[str, Row]) -> None:
        names = list(dict.fromkeys((*COLUMNS, *(name for row in rows.values() for name in row))))
        write_text(
            self.folder / TABLE, as_csv([names, *([row.get(name, "") for name in names] for row in rows.values())])
        )

    def _append(self, event: dict[str, Any]) -> None:
        """Add a line to the history, after any that was cut off."""
        place = self.folder / HISTORY
        with place.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._drop_cut_line(place)
            file.write(json.dumps({"time": _now(), **event}, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_cut_line(self, place: Path) -> None:
        content = place.read_bytes()
        os.truncate(place, content.rfind(b"\n") + 1)

    def _move(self, old: str, new: str) -> None:
        """Bring an image to where it was."""
        if old != new:
            content = (self.folder / old).read_bytes()
            write_atomically(self.folder / new, lambda partial: partial.write_bytes(content))

    def _remove(self, row: Row | None, rows: dict[str, Row]) -> None:
        """Remove the image of a row that no longer stands in the table."""
        if row is not None and row["path"] not in {one["path"] for one in rows.values()}:
            (self.folder / row["path"]).unlink(missing_ok=True)


def _cell_of(label: Label) -> str:
    """A label as a cell; raises UsageError for one that cannot be written."""
    names = [] if label is None else [label] if isinstance(label, str) else list(label)
    for name in names:
        blank = not isinstance(name, str) or not name.strip()
        if blank or len(name) > LONGEST or "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise UsageError(f"the label is {name!r:.60}; expected the name of a class, of up to {LONGEST:,} letters.")
    return "" if label is None else escape(label) if isinstance(label, str) else join_cell(names)


def _require_short(row: Row) -> None:
    """Raise UsageError for a cell with which the whole table could not be read any more."""
    for name, cell in row.items():
        if len(cell) > LONGEST_CELL:
            raise UsageError(f"{name} has {len(cell):,} letters; expected at most {LONGEST_CELL:,}.")


def _change(digest: str, before: Row | None, after: Row | None) -> Change:
    old, new = (None if row is None else _reviewed(digest, row) for row in (before, after))
    return Change(digest, old, new)


def _reviewed(digest: str, row: Row) -> Reviewed:
    cell = row["label"]
    label = None if row["excluded"] else tuple(split_cell(cell)) if holds_several(cell) else unescape(cell)
    facts = Facts(
        row["was"],
        _number(row["confidence"]),
        row["reason"],
        row["request"],
        int(row["place"]) if row["place"].isdecimal() else None,
        row["time"],
    )
    return Reviewed(digest, row["path"], label, facts)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _key_of(path: str) -> str:
    """The hash that an image was filed under, or the path of one that was added by hand."""
    stem = PurePosixPath(path).stem
    return stem if _is_digest(stem) else path


def _is_digest(name: str) -> bool:
    return len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
