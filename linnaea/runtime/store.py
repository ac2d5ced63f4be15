"""Rows of numbers kept on disk under the hash of what they were made from, so that nothing is computed twice.

A store is a folder: `index.sqlite` says which row lies where, `<segment>.rows` files hold the numbers and are
memory-mapped. A segment is whole before the index knows of it, so that a killed process leaves nothing half-written
that could be read, and several processes may use one store; what a loss of power leaves half-written does not meet its
checksum, so nothing waits for the disk. The oldest segments go when the store is full.
"""

import os
import sqlite3
import time
import uuid
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.runtime.machine import available_threads

Array = npt.NDArray[Any]
TABLES = """
create table if not exists segments (
    name text primary key, namespace text, dtype text, shape text, count integer, bytes integer, used real);
create table if not exists entries (
    namespace text, key text, segment text, position integer, checksum integer,
    primary key (namespace, key)) without rowid;
create index if not exists by_segment on entries (segment);
create table if not exists files (
    path text primary key, size integer, modified integer, inode integer, sha256 text) without rowid;
"""
ASKED_AT_ONCE = 30_000  # below SQLite's limit on the number of variables
LARGEST = 2**63 - 1  # SQLite's integers have a sign
STALE_SECONDS = 3600  # an unfinished segment this old was left by a process that was killed
WORTH_A_THREAD = 2**16  # bytes of a row whose checksum takes longer than the interpreter lock's to and fro
SETTLED_NANOSECONDS = 2 * 10**9  # a file changed within this time may change again without a new time stamp


@dataclass(frozen=True)
class Stamp:
    """What the file system says of a file; as long as it stays, so does the content."""

    path: str
    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, path: Path, name: str = "") -> "Stamp":
        """The stamp of a file, or of the part `name` of a packed file."""
        about = path.stat()
        shown = os.fsencode(os.path.abspath(path) + name).decode("utf-8", "backslashreplace")  # noqa: PTH100
        return cls(shown, about.st_size, about.st_mtime_ns, about.st_ino & LARGEST)


class Store:
    """A folder of rows by namespace and key, holding at most `limit` bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)
        with self._index() as index:
            index.executescript(TABLES)

    def find(self, namespace: str, keys: Sequence[str], out: Array) -> npt.NDArray[np.bool_]:
        """Copy the rows of the keys that are there into `out` (N, ...); says which are (N,).

        A row whose checksum does not hold, or whose shape is another, counts as absent.
        """
        found = np.zeros(len(keys), dtype=bool)

        def copy(place: tuple[Array, int, int, int]) -> None:
            segment, position, checksum, row = place
            if _checksum(segment[position]) == checksum:
                out[row], found[row] = segment[position], True

        places = self._readable(self._places(namespace, keys), out)
        if out[:1].nbytes < WORTH_A_THREAD:
            deque(map(copy, places), maxlen=0)
            return found
        with ThreadPoolExecutor(available_threads()) as pool:
            deque(pool.map(copy, places), maxlen=0)
        return found

    def _readable(
        self, places: Iterable[tuple[str, int, int, int]], like: Array
    ) -> Iterator[tuple[Array, int, int, int]]:
        """The places with their segments opened, without those that are gone."""
        for name, within in groupby(places, key=lambda place: place[0]):
            segment = self._open(name, like)
            if segment is not None:
                yield from ((segment, position, checksum, row) for _, position, checksum, row in within)

    def add(self, namespace: str, keys: Sequence[str], rows: Array) -> None:
        """Keep these rows (N, ...); raises OSError when the disk refuses, and keeps none of them then."""
        if not len(keys) or rows.nbytes > self.limit:
            return
        self._make_room(rows.nbytes)
        name = uuid.uuid4().hex
        path, partial = self._path(name), self.folder / f"{name}.partial"
        try:
            with partial.open("wb") as handle:
                handle.write(np.ascontiguousarray(rows).data)
            partial.replace(path)
            checksums = map(_checksum, rows)
            with self._index() as index:
                shape = "x".join(map(str, rows.shape[1:]))
                facts = (name, namespace, rows.dtype.str, shape, len(rows), rows.nbytes, time.time())
                index.execute("insert into segments values (?, ?, ?, ?, ?, ?, ?)", facts)
                index.executemany(
                    "insert or replace into entries values (?, ?, ?, ?, ?)",
                    ((namespace, key, name, at, check) for at, (key, check) in enumerate(zip(keys, checksums))),  # noqa: B905
                )
        finally:
            partial.unlink(missing_ok=True)

    def hashes(self, stamps: Sequence[Stamp | None]) -> list[str | None]:
        """The SHA-256 remembered for each file, None where it is not known or the file has changed since."""
        known: dict[str, tuple[Any, ...]] = {}
        with self._index() as index:
            for part in _parts(stamp.path for stamp in stamps if stamp):
                marks = ",".join("?" * len(part))
                rows = index.execute(f"select * from files where path in ({marks})", part)  # noqa: S608
                known.update((row[0], row) for row in rows)
        matching = (known.get(stamp.path) if stamp else None for stamp in stamps)
        return [
            row[4] if row and stamp and row[1:4] == (stamp.size, stamp.modified, stamp.inode) else None
            for row, stamp in zip(matching, stamps, strict=True)
        ]

    def remember(self, stamps: Sequence[Stamp], sha256: Sequence[str]) -> None:
        """Remember the SHA-256 of files that have not been written to for two seconds."""
        settled = time.time_ns() - SETTLED_NANOSECONDS
        rows = [
            (stamp.path, stamp.size, stamp.modified, stamp.inode, digest)
            for stamp, digest in zip(stamps, sha256, strict=True)
            if stamp.modified < settled
        ]
        with self._index() as index:
            index.executemany("insert or replace into files values (?, ?, ?, ?, ?)", rows)

    def contents(self) -> list[dict[str, Any]]:
        """A row per namespace: its name, how many rows it holds, their bytes, and when it was last used (seconds)."""
        with self._index() as index:
            rows = index.execute(
                "select namespace, sum(count), sum(bytes), max(used) from segments group by namespace order by 4 desc"
            ).fetchall()
        return [dict(zip(("namespace", "rows", "bytes", "used"), row, strict=True)) for row in rows]

    def clear(self) -> int:
        """Remove everything, the large files first, since a full disk lets the index change only after that."""
        freed = self._unlink([path.stem for path in self.folder.glob("*.rows")])
        with self._index() as index:
            for table in ("segments", "entries", "files"):
                index.execute(f"delete from {table}")  # noqa: S608
        return freed + self._sweep(older_than=STALE_SECONDS)

    def _places(self, namespace: str, keys: Sequence[str]) -> list[tuple[str, int, int, int]]:
        """Segment, position, checksum and row in `keys` of every key that is there, sorted by segment."""
        found: dict[str, tuple[str, int, int]] = {}
        with self._index() as index:
            for part in _parts(set(keys)):
                marks = ",".join("?" * len(part))
                query = f"select key, segment, position, checksum from entries where namespace = ? and key in ({marks})"  # noqa: S608
                found.update((key, place) for key, *place in index.execute(query, (namespace, *part)))
            used = {place[0] for place in found.values()}
            index.executemany("update segments set used = ? where name = ?", ((time.time(), name) for name in used))
        return sorted((*found[key], row) for row, key in enumerate(keys) if key in found)

    def _open(self, name: str, like: Array) -> Array | None:
        with self._index() as index:
            facts = index.execute("select dtype, shape, count from segments where name = ?", (name,)).fetchone()
        shape = "x".join(map(str, like.shape[1:]))
        if facts is None or facts[:2] != (like.dtype.str, shape):
            return None
        try:
            return np.memmap(self._path(name), dtype=like.dtype, mode="r", shape=(facts[2], *like.shape[1:]))
        except (OSError, ValueError):  # removed by another process, or cut off
            return None

    def _make_room(self, needed: int) -> None:
        self._sweep(older_than=STALE_SECONDS)
        with self._index() as index:
            held = index.execute("select name, bytes from segments order by used").fetchall()
            excess = sum(size for _, size in held) + needed - self.limit
            gone = []
            for name, size in held:
                if excess <= 0:
                    break
                excess -= size
                gone.append(name)
            for table, column in (("segments", "name"), ("entries", "segment")):
                index.executemany(f"delete from {table} where {column} = ?", ((name,) for name in gone))  # noqa: S608
        self._unlink(gone)

    def _sweep(self, older_than: float) -> int:
        """Remove segments that no index knows of, left by processes that were killed."""
        with self._index() as index:
            known = {row[0] for row in index.execute("select name from segments")}
        before = time.time() - older_than
        freed = 0
        for path in (*self.folder.glob("*.rows"), *self.folder.glob("*.partial")):
            with suppress(FileNotFoundError):  # removed by another process
                about = path.stat()
                if path.stem not in known and about.st_mtime < before:
                    path.unlink()
                    freed += about.st_size
        return freed

    def _unlink(self, names: Sequence[str]) -> int:
        paths = [self._path(name) for name in names]
        freed = sum(path.stat().st_size for path in paths if path.exists())
        for path in paths:
            path.unlink(missing_ok=True)
        return freed

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.rows"

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the index, waiting up to a minute for other processes."""
        with closing(sqlite3.connect(self.folder / "index.sqlite", timeout=60)) as connection, connection:
            yield connection


def _checksum(row: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(row).view(np.uint8).data)


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    """The values in lists of at most as many as one query may ask for."""
    whole = list(values)
    for start in range(0, len(whole), ASKED_AT_ONCE):
        yield whole[start : start + ASKED_AT_ONCE]
