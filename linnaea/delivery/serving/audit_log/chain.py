"""One chain of an audit log: its files in order, each line of which states the hash of the line before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from linnaea.delivery.serving.audit_log.lines import CHAIN, FILE, LONGEST, START, file_name, read_line, seconds_of
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.locks import holder_of
from linnaea.runtime.reading import open_regular

MOST_NAMED = 100  # faults of a chain, and notes on it
JITTER = 1.0  # seconds by which a clock may be corrected unnoticed


@dataclass(frozen=True)
class Fault:
    """Something wrong with a log: the file, relative to its folder, the line, 0 where it is no line, and what."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        place = ", line ".join(filter(None, [self.file, str(self.line or "")]))
        return f"{place}: {self.what}." if place else f"{self.what}."


def chain_folders(folder: Path) -> list[str]:
    """The names of the chains in the folder of a log: "" for one in the folder itself, those of workers after it."""
    own = [""] if files_of(folder) else []
    workers = [path.name for path in folder.iterdir() if CHAIN.fullmatch(path.name) and files_of(path)]
    return own + sorted(workers, key=lambda name: int(name.partition("-")[2]))


def files_of(folder: Path) -> list[tuple[int, Path]]:
    """The files of a chain with their numbers, in order; none where there is no such folder."""
    found = [(FILE.fullmatch(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(match[1]), path) for match, path in found if match)


class Chain:
    """A chain that is read once, line after line; what was found stands in it afterwards.

    `sequence` and `head` are the number and the hash of its last line, `met` those of the `heads` looked for that lie
    in it, `workers` the most servers that, as it says, wrote beside each other.
    """

    def __init__(self, folder: Path, name: str, heads: frozenset[str] = frozenset()) -> None:
        self.folder, self.name, self.heads = folder / name, name, heads
        self.sequence, self.head, self.met = 0, START, set[str]()
        self.workers = 1
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        self._follows: tuple[str, ...] = (START,)
        self._latest, self._closed = float("-inf"), False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The lines that are what was written, in order."""
        files = files_of(self.folder)
        for position, (number, path) in enumerate(files, start=1):
            self._require_files_before(number, files[position - 2][0] if position > 1 else 0)
            yield from self._lines_of(path, last=position == len(files))
        if files and not self._closed and not self._is_written_to():
            self._fault(
                files[-1][1], 0, "ends without the line that closes it: the server was killed, or lines are cut off"
            )

    def _lines_of(self, path: Path, last: bool) -> Iterator[dict[str, Any]]:
        number = 0
        try:
            with open_regular(path) as stream:
                while text := stream.readline(LONGEST):
                    number += 1
                    if text.endswith(b"\n"):
                        content = self._taken(text[:-1], path, number)
                        if content is not None:
                            yield content
                    elif len(text) == LONGEST:
                        _skip_line(stream)
                        self._lost(path, number, "is longer than any that is written")
                    elif not (last and self._is_written_to()):  # else its end is on the way
                        self._lost(path, number, "is cut off")
        except OSError as error:
            self._fault(path, number, f"cannot be read on ({reason_of(error)})")

    def _taken(self, text: bytes, path: Path, number: int) -> dict[str, Any] | None:
        """The content of a line that is what was written, after which the chain is looked at."""
        line = read_line(text)
        self.met |= self.heads & {line.stated}
        if not line.unchanged:
            self._lost(path, number, "was edited: its content has another hash than it states")
            self._follows, self.head = (line.stated, line.actual), line.stated or line.actual
            return None
        content, follows = line.content or {}, self._follows
        self._require_sequence(content["sequence"], content["previous"] in follows, path, number)
        self._require_time(content["time"], content["sequence"])
        self._note_event(content)
        self.sequence, self.head, self._follows = content["sequence"], line.stated, (line.stated,)
        self._closed = content.get("event") == "closed"
        return content

    def _lost(self, path: Path, number: int, what: str) -> None:
        self._fault(path, number, what)
        self.sequence, self._closed = self.sequence + 1, False

    def _require_sequence(self, sequence: int, follows: bool, path: Path, number: int) -> None:
        expected = self.sequence + 1
        if sequence > expected:
            missing = (
                f"record {expected} is" if sequence == expected + 1 else f"records {expected} to {sequence - 1} are"
            )
            self._fault(path, number, f"{missing} missing before record {sequence}")
        elif sequence < expected:
            self._fault(path, number, f"record {sequence} stands where record {expected} belongs")
        elif not follows:
            self._fault(path, number, f"record {sequence} does not follow the one before it: one of them was replaced")

    def _require_time(self, time: str, sequence: int) -> None:
        now = seconds_of(time)
        if now < self._latest - JITTER:
            self._note(f"the clock went back by {self._latest - now:.0f} s before record {sequence}")
        self._latest = now

    def _require_files_before(self, number: int, before: int) -> None:
        for missing in range(before + 1, min(number, before + 1 + MOST_NAMED)):
            self._fault(self.folder / file_name(missing), 0, "is missing")

    def _note_event(self, content: dict[str, Any]) -> None:
        if content.get("event") == "opened":
            workers = content.get("workers")
            self.workers = max(self.workers, workers if isinstance(workers, int) else 1)
        if content.get("event") == "opened" and self.sequence and not self._closed:
            self._note(f"the server before record {content['sequence']} was ended without closing the log")
        if content.get("event") == "not_logged":
            self._note(f"record {content['sequence']}: {content.get('detail', '')}")

    def _is_written_to(self) -> bool:
        return holder_of(self.folder) is not None

    def _fault(self, path: Path, line: int, what: str) -> None:
        if len(self.faults) < MOST_NAMED:
            self.faults.append(Fault(f"{self.name}/{path.name}" if self.name else path.name, line, what))

    def _note(self, what: str) -> None:
        if len(self.notes) < MOST_NAMED:
            self.notes.append(f"{self.name}: {what}" if self.name else what)


def _skip_line(stream: BufferedReader) -> None:
    """Read on to the end of a line, without keeping it."""
    while (more := stream.readline(LONGEST)) and not more.endswith(b"\n"):
        pass
