"""A file of a million answers among a thousand classes, judged without being held in memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.reporting import made
from benchmarks.table import keep

IMAGES, CLASSES, PART = 1_000_000, 1_000, 10_000
PROBE = """
import re, sys, time
from pathlib import Path
from linnaea.evidence import judge
from linnaea.predictions import Predictions
started = time.perf_counter()
judge(Predictions.open(Path(sys.argv[1])))
seconds = time.perf_counter() - started
# Not ru_maxrss, which a process inherits from the one that started it.
print(seconds, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def main() -> None:
    """All figures with intervals, and the tables."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "scores.parquet"
        writer = None
        for part in made(IMAGES, PART, CLASSES):
            facts = {"classes": part.classes, "task": part.task, "taxonomy": {}}
            table = part.table.replace_schema_metadata({b"linnaea": json.dumps(facts).encode()})
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        assert writer is not None
        writer.close()
        size = file.stat().st_size
        done = subprocess.run([sys.executable, "-c", PROBE, file], capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stdout.split()
    row = {
        "answers": f"{IMAGES:,} x {CLASSES:,}",
        "file": f"{size / 2**30:.1f} GiB",
        "seconds": f"{float(seconds):.0f}",
        "most memory": f"{float(kilobytes) / 2**20:.2f} GiB",
        "aim": "1 GiB",
    }
    remarks = (
        "The file is opened, not read; all figures with 1,000 replicates and all tables, in a process of its own, "
        "whose largest resident size is told."
    )
    keep("streaming", "A file of very many answers", [row], remarks)


if __name__ == "__main__":
    main()
