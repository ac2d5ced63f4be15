"""Which images are to be scored: a compact table of names, by which it is known later whether they are the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linnaea.errors import DataError, UsageError
from linnaea.experiments.image_files import images_at, places_of
from linnaea.runtime.boundary import is_of_the_system
from linnaea.runtime.containers import Located, Member, let_go, locate
from linnaea.runtime.files import write_atomically
from linnaea.runtime.words import counted

SCHEMA = pa.schema([("id", pa.string()), ("bytes", pa.int64()), ("modified", pa.int64())])
AT_ONCE = 4096
ABSENT = -1


@dataclass(frozen=True)
class Listing:
    """The images in the order in which they are scored, some forty bytes each.

    `table` has the columns `id`, a path as the user gave it, `bytes`, and `modified`, in nanoseconds; both -1 where
    there is no such file.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def ids(self, start: int, stop: int) -> pa.ChunkedArray:
        """Their names, from one to before another."""
        return self.table.column("id").slice(start, stop - start)

    def files(self, start: int, stop: int, base: Path) -> list[Located]:
        """The same as files; relative names begin in the folder `base`."""
        return locate(base, self.ids(start, stop).to_pylist())

    def write(self, path: Path) -> Path:
        """Write it as Parquet, atomically."""
        return write_atomically(path, lambda partial: pq.write_table(self.table, partial, compression="zstd"))

    @classmethod
    def read(cls, path: Path) -> "Listing":
        """The inverse of `write`."""
        return cls(pq.read_table(path))

    def difference(self, other: "Listing") -> str:
        """What is different in another listing, in words; "" where nothing is."""
        if self.table.equals(other.table):
            return ""
        before, after = self.table.column("id"), other.table.column("id")
        gone = before.filter(pc.invert(pc.is_in(before, after)))
        fresh = after.filter(pc.invert(pc.is_in(after, before)))
        told = [_told(gone, "gone"), _told(fresh, "new")]
        if len(self) == len(other) and before.equals(after):
            same = [pc.equal(self.table.column(name), other.table.column(name)) for name in ("bytes", "modified")]
            told.append(_told(before.filter(pc.invert(pc.and_(*same))), "changed"))
        return ", ".join(filter(None, told)) or "they come in another order"


def _told(ids: pa.ChunkedArray, how: str) -> str:
    return f"{counted(len(ids), 'image is', 'images are')} {how} (first {ids[0].as_py()})" if len(ids) else ""


def listed(images: str | Path | Sequence[str | Path]) -> Listing:
    """List the images that are named and those in folders, shards and archives, each once.

    Raises DataError where there are none, UsageError where one of the places lies in another.
    """
    places = places_of(images)
    _require_apart(places)
    rows = (_row(file) for place in places for file in _in_turn(images_at(place)))
    batches = []
    while some := list(islice(rows, AT_ONCE)):
        batches.append(pa.record_batch([pa.array(values) for values in zip(*some, strict=True)], schema=SCHEMA))
    if not batches:
        raise DataError("there are no images to score: give at least one.")
    return Listing(pa.Table.from_batches(batches))


def _in_turn(files: Iterator[Located]) -> Iterator[Located]:
    """The same; a packed file is closed when the next one begins, so that few of their listings are held."""
    container = None
    for file in files:
        within = file.container if isinstance(file, Member) else None
        if container is not None and within != container:
            let_go()
        container = within
        yield file


def _row(file: Located) -> tuple[str, int, int]:
    try:
        about = file.stat()
    except OSError as error:
        if not is_of_the_system(error):
            raise
        return str(file), ABSENT, ABSENT
    return str(file), about.st_size, about.st_mtime_ns


def _require_apart(places: Sequence[Path]) -> None:
    """Raise UsageError where an image would be scored twice."""
    known: dict[Path, Path] = {}
    for place in places:
        whole = place.resolve()
        if whole in known:
            raise UsageError(f"{place} is given twice, and its images would be scored twice: give it once.")
        known[whole] = place
    for whole, place in known.items():
        around = next((known[parent] for parent in whole.parents if parent in known), None)
        if around is not None:
            raise UsageError(f"{place} lies in {around}, and its images would be scored twice: give only {around}.")
