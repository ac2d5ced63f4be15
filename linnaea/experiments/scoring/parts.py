"""Parts of a scoring: Parquet files that carry their own SHA-256 in their names, and the one file made of them."""

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from linnaea.classifier import Classifier
from linnaea.errors import RunError
from linnaea.experiments.scoring.job import Job
from linnaea.experiments.scoring.listing import Listing
from linnaea.predictions import AT_ONCE, Predictions
from linnaea.runtime.files import sha256_of, write_atomically

MOST_ROWS = 16_384  # of a group in the one file
LISTS = pa.list_(pa.string())
logger = logging.getLogger("linnaea")


def answered(job: Job, number: int, listing: Listing, classifier: Classifier) -> Path:
    """Decode and score the images of one part, and write it; whoever does it twice writes the same file."""
    start, stop = job.span(number)
    files = listing.files(start, stop, job.base)
    answers = classifier.predict(files, precision=job.execution, damaged=job.asked.damaged)
    ids = listing.ids(start, stop).combine_chunks()
    return _kept(job.folder, number, answers.with_table(_in_form(answers, ids)))


def _in_form(answers: Predictions, ids: pa.Array) -> pa.Table:
    """The table with the names as they were given, and of the same types in every part, whatever it holds."""
    table = answers.table
    types = {"id": pa.string(), "truth": pa.string(), "detail": pa.string()}
    types["label"] = LISTS if answers.rules.multilabel else pa.string()
    for name, kind in types.items():
        place = table.column_names.index(name)
        values = ids if name == "id" else _cast(table.column(name), kind)
        table = table.set_column(place, pa.field(name, kind), values)
    return table


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    return column.cast(kind)


def _kept(folder: Path, number: int, answers: Predictions) -> Path:
    partial = folder / f".{number:06}.{uuid.uuid4().hex}"
    try:
        answers.write(partial)
        return partial.replace(folder / f"{number:06}.{sha256_of(partial)}.parquet")
    finally:
        partial.unlink(missing_ok=True)


def finished(job: Job) -> dict[int, Path]:
    """The parts that are there and are what was written; what a killed process left and what is damaged is removed."""
    for left in job.folder.glob(".[0-9]*.*"):
        left.unlink(missing_ok=True)
    found: dict[int, Path] = {}
    for file in sorted(job.folder.glob("[0-9]*.*.parquet")):
        number, digest = file.name.split(".")[:2]
        whole = number.isdecimal() and int(number) < job.parts and sha256_of(file) == digest
        if not whole:
            logger.warning(f"{file} is damaged, or is no part of this scoring: it is made again.")
        if not whole or int(number) in found:  # of two that differ in the last digit, the first is kept
            file.unlink()
        else:
            found[int(number)] = file
    return found


def joined(job: Job, parts: Mapping[int, Path], listing: Listing, out: Path) -> dict[str, int]:
    """Write one file of all parts, in order; how many images have each reason.

    Raises RunError where the parts do not hold each image once.
    """
    reasons: dict[str, int] = {}
    write_atomically(out, lambda partial: _write(partial, _in_order(job, parts, listing, reasons)))
    return dict(sorted(reasons.items(), key=lambda pair: -pair[1]))


def _in_order(
    job: Job, parts: Mapping[int, Path], listing: Listing, reasons: dict[str, int]
) -> Iterator[tuple[pa.Table, int]]:
    """The table of each part, and the rows that a group of the one file has."""
    for number in range(job.parts):
        table = pq.ParquetFile(parts[number]).read()
        start, stop = job.span(number)
        if not table.column("id").equals(listing.ids(start, stop)):
            raise RunError(f"{parts[number]} does not hold each of its images once: remove it and score again.")
        for pair in table.column("reason").value_counts().to_pylist():
            reasons[pair["values"]] = reasons.get(pair["values"], 0) + pair["counts"]
        classes = len(json.loads(table.schema.metadata[b"classes"]))
        yield table, min(MOST_ROWS, max(1, AT_ONCE // max(1, classes)))


def _write(file: Path, tables: Iterator[tuple[pa.Table, int]]) -> None:
    """Groups of rows that are full, whatever the size of the parts."""
    first, rows = next(tables)
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        waiting = first
        for table, _ in tables:
            waiting = pa.concat_tables([waiting, table])
            while waiting.num_rows >= rows:
                writer.write_table(waiting.slice(0, rows), row_group_size=rows)
                waiting = waiting.slice(rows).combine_chunks()
        while waiting.num_rows:
            writer.write_table(waiting.slice(0, rows), row_group_size=rows)
            waiting = waiting.slice(rows)
