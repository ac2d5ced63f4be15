"""A time limit on a machine that is kept busy: how long the whole command takes."""

import csv
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.table import keep, photo_sets
from benchmarks.transfer import linnaea

LIMITS = (90, 180)
ALLOWED, SLACK = 1.1, 5.0


def main() -> None:
    """Train on clothing with the weights that LINNAEA_WEIGHTS names, every core kept busy by another process."""
    weights = os.environ["LINNAEA_WEIGHTS"].split(os.pathsep)[0]
    rows = [measure(photo_sets() / "clothing", weights, limit) for limit in LIMITS]
    remarks = (
        "Command: `linnaea train clothing --weights FILE --time-limit LIMIT`, the cache empty, beside as many "
        "processes that only count as there are cores. Kept is a limit that was passed by no more than 10 % and 5 s."
    )
    keep("time_limit", "The time limit on a busy machine", rows, remarks)


def measure(photos: Path, weights: str, limit: int) -> dict[str, object]:
    """One row: how long the command took, and what came of it."""
    with tempfile.TemporaryDirectory() as place, busy(len(os.sched_getaffinity(0))):
        os.environ["LINNAEA_CACHE"] = str(Path(place) / "cache")  # nothing is known of the images
        run = Path(place) / "run"
        seconds = linnaea("train", photos, "--weights", weights, "--out", run, "--time-limit", f"{limit}s")
        figure = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]
        ladder = list(csv.DictReader((run / "ladder.csv").open()))
    return {
        "limit": f"{limit} s",
        "took": f"{seconds:.0f} s",
        "kept": "yes" if seconds <= ALLOWED * limit + SLACK else "no",
        "rungs": ", ".join(f"{row['rung']} {row['status']}" for row in ladder),
        "accuracy on test": f"{figure['value']:.1%} ({figure['lo']:.1%} to {figure['hi']:.1%})",
    }


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but count, meanwhile."""
    workers = [multiprocessing.Process(target=_count, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()


def _count() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
