"""An audit log that is read: its answers in order, with what was cut, edited or taken away named, the rest readable."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from linnaea.delivery.serving.audit_log.chain import Chain, Fault, chain_folders
from linnaea.delivery.serving.audit_log.lines import chain_name
from linnaea.errors import DataError, RunError

__all__ = ["Fault", "Log", "read_log"]


def read_log(folder: str | Path, heads: Sequence[str] = ()) -> "Log":
    """The audit log in a folder, such as `linnaea serve --log` writes; nothing is read yet.

    `heads` are hashes that were noted earlier and must lie in it. Raises RunError where there is no folder, DataError
    where it holds no log.
    """
    place = Path(folder)
    if not place.is_dir():
        raise RunError(f"{place} {'is a file' if place.exists() else 'does not exist'}: expected the folder of a log.")
    if not chain_folders(place):
        raise DataError(f"{place} holds no audit log: expected audit-000001.jsonl, as `linnaea serve --log` writes it.")
    return Log(place, tuple(heads))


class Log:
    """An audit log, which is read as often as it is asked for its records, each time to where it then ends.

    Memory stays flat, however long it is. `faults`, `notes` and `ends` are those of the last time; who has not read to
    the end is given those of the whole log, for which it is read once more. Of faults and notes the first hundred of a
    chain are kept.
    """

    def __init__(self, folder: Path, heads: Sequence[str] = ()) -> None:
        self.folder, self.heads = folder, tuple(heads)
        self._chains: list[Chain] = []
        self._whole = False

    @property
    def records(self) -> Iterator[dict[str, Any]]:
        """The answers, as they were logged, those of several workers in the order of their times.

        A line that was edited is left out. Within a chain the order is that of the sequence, whatever the clock did.
        """
        return (line for line in self.lines() if "event" not in line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The same with the events between them: opened, closed, not_logged."""
        heads = frozenset(self.heads)
        self._whole, self._chains = False, [Chain(self.folder, name, heads) for name in chain_folders(self.folder)]
        yield from heapq.merge(*self._chains, key=_time_of)
        self._whole = True

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with the log: cut, edited, out of order, missing."""
        found = [fault for chain in self._read() for fault in chain.faults]
        found += [Fault(name, 0, "is missing, the folder of a worker's chain") for name in self._missing_chains()]
        met = {head for chain in self._read() for head in chain.met}
        return found + [Fault("", 0, f"no line has the hash {head}") for head in self.heads if head not in met]

    @property
    def notes(self) -> list[str]:
        """What should be known and is no fault: a server that was killed, a clock that was set back."""
        return [note for chain in self._read() for note in chain.notes]

    @property
    def ends(self) -> dict[str, tuple[int, str]]:
        """The number and the hash of the last line, by the name of the chain ("" of a single one)."""
        return {chain.name: (chain.sequence, chain.head) for chain in self._read()}

    def _missing_chains(self) -> list[str]:
        there = {chain.name for chain in self._chains}
        workers = max((chain.workers for chain in self._chains), default=1)
        return [name for number in range(1, workers + 1) if (name := chain_name(number)) not in there] * (workers > 1)

    def _read(self) -> list[Chain]:
        if not self._whole:
            for _ in self.lines():
                pass
        return self._chains


def _time_of(line: Mapping[str, Any]) -> str:
    return str(line["time"])
