"""`linnaea evaluate` from a cold start: many classes of few images, and a file that does not fit memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.reporting import made
from benchmarks.table import keep

WORK = ((5_000, 4_000, 5_000, 15), (1_000_000, 1_000, 10_000, 120))  # images, classes, images at once, seconds
PROBE = """
import re, sys, time
from pathlib import Path

def size(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

started = time.perf_counter()
import linnaea
before = size("VmRSS")
told = str(linnaea.evaluate(sys.argv[1]))
print(time.perf_counter() - started, size("VmHWM") - before, len(told.splitlines()))
"""


def main(work: tuple[tuple[int, int, int, int], ...] = WORK) -> None:
    """All figures with their intervals, and all tables, of each."""
    rows = [measured(images, classes, part, most) for images, classes, part, most in work]
    remarks = (
        "A Python that imports linnaea, opens the file of predictions and finds all figures with intervals and all "
        "tables; grown by is the largest resident size less that after the import."
    )
    keep("evaluating", "Evaluating many answers", rows, remarks)


def measured(images: int, classes: int, part: int, most: int) -> dict[str, str]:
    """What one file takes, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        file = written(Path(place) / "scores.parquet", images, classes, part)
        size = file.stat().st_size
        done = subprocess.run([sys.executable, "-c", PROBE, file], capture_output=True, text=True, check=True)
    seconds, kilobytes, figures = done.stdout.split()
    return {
        "answers": f"{images:,} x {classes:,}",
        "file": f"{size / 2**30:.1f} GiB",
        "figures": figures,
        "seconds": f"{float(seconds):.1f}",
        "aim, seconds": str(most),
        "grown by": f"{float(kilobytes) / 2**20:.2f} GiB",
        "aim": "1 GiB",
    }


def written(file: Path, images: int, classes: int, at_once: int) -> Path:
    """A file of made-up predictions, so many images at a time."""
    writer = None
    for part in made(images, at_once, classes):
        facts = {"classes": part.classes, "task": part.task, "taxonomy": {}}
        table = part.table.replace_schema_metadata({b"linnaea": json.dumps(facts).encode()})
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None, "there are images"
    writer.close()
    return file


if __name__ == "__main__":
    main()
