"""How fast, how large and how hungry classifiers are: each in a fresh process, timed in turns."""

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.special import stdtrit

from linnaea.classifier.signature import VARIABLE, trusted_keys
from linnaea.errors import CheckFailedError, DataError, UsageError
from linnaea.experiments.image_files import image_files
from linnaea.finding import Estimate
from linnaea.run import Run
from linnaea.runtime.arguments import require_count
from linnaea.runtime.containers import Located
from linnaea.runtime.machine import available_threads

logger = logging.getLogger("linnaea")
ROUNDS = 5
LATENCIES = 32  # images that are answered one by one in a round
MOST_IMAGES = 128
HEAD = ("what", "kind", "p50 ms", "p95 ms", "files/s", "tensors/s", "MB on disk", "MB in memory", "first answer s")


@dataclass(frozen=True)
class Measured:
    """What one folder costs: `latency_p50` and `latency_p95` in seconds, from a file to its answer, one at a time.

    `files_per_second` is from files to answers, many at once, `tensors_per_second` of the runtime given decoded images;
    each has its 95 % interval over rounds. `megabytes` are on disk, `memory` the most held in main memory (None: not
    told), both in 10^6 bytes; `first_answer` are seconds from the start of the process.
    """

    folder: str
    kind: str
    latency_p50: Estimate
    latency_p95: Estimate
    files_per_second: Estimate
    tensors_per_second: Estimate
    megabytes: float
    memory: float | None
    first_answer: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {name: vars(value) if isinstance(value, Estimate) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class Bench:
    """What several folders cost, in the order in which they were given; how many images, threads and rounds it took."""

    measured: tuple[Measured, ...]
    images: int
    threads: int
    rounds: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        facts = {"images": self.images, "threads": self.threads, "rounds": self.rounds}
        return facts | {"measured": [each.to_json() for each in self.measured]}

    def __str__(self) -> str:
        rows = [HEAD, *map(_cells, self.measured)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        how = (
            f"{self.images} images, {self.threads} threads, {self.rounds} rounds in turns, each in a process of its "
            "own; in brackets the 95 % interval over rounds. Files: from a file to its answer; tensors: of decoded "
            "images."
        )
        return "\n".join([*lines, how])


def bench(
    folders: Sequence[str | Path],
    images: str | Path | Sequence[str | Path] | None = None,
    *,
    rounds: int = ROUNDS,
    threads: int | None = None,
    trust: Sequence[str | Path] = (),
) -> Bench:
    """Measure runs, bundles and exported folders on the same images; see `linnaea.bench`."""
    require_count("rounds", rounds)
    trusted_keys(trust or None)
    paths = _chosen(_files(images, folders))
    threads = _cores(threads)
    with ExitStack() as stack:
        workers = []
        for folder in folders:  # each alone until it has answered, lest its first answer wait for another's
            logger.info(f"Starting {folder}.")
            workers.append(stack.enter_context(Worker(Path(folder), threads, trust)))
            workers[-1].prepare(paths)
        _require_same_images(workers)
        for turn in range(rounds):
            logger.info(f"Round {turn + 1} of {rounds}.")
            for worker in workers[:: 1 if turn % 2 == 0 else -1]:
                worker.round(turn)
        return Bench(tuple(worker.measured() for worker in workers), workers[0].images, threads, rounds)


def _cores(threads: int | None) -> int:
    """As many as asked for, None: all that there are; raises UsageError for more."""
    most = available_threads()
    if threads is None:
        return most
    require_count("threads", threads)
    if threads > most:
        raise UsageError(f"threads is {threads}; this process may use {most}: expected 1 to {most}.")
    return threads


def _require_same_images(workers: "Sequence[Worker]") -> None:
    """Raise DataError where one of them could read no image, or fewer than another."""
    seen = {worker.images for worker in workers}
    if 0 in seen:
        raise DataError("none of the images can be read: give others with --images.")
    if len(seen) > 1:
        told = ", ".join(f"{worker.folder} {worker.images}" for worker in workers)
        raise DataError(f"not all can read the same images ({told}): give images with --images that all of them read.")


class Worker:
    """A process that answers for one folder, and what was seen of it so far."""

    def __init__(self, folder: Path, threads: int, trust: Sequence[str | Path] = ()) -> None:
        self.folder, self._started = folder, time.perf_counter()
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        keys = {VARIABLE: os.pathsep.join(map(str, trust))} if trust else {}
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", "linnaea.experiments.bench_worker", str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | dict.fromkeys(names, str(threads)) | keys,
            text=True,
            encoding="utf-8",
        )
        self._kind, self._first, self.images = "", math.nan, 0
        self._latencies: list[list[float]] = []
        self._rates: dict[str, list[float]] = {"files": [], "tensors": []}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def prepare(self, paths: Sequence[str]) -> None:
        """Have one answered, which is timed from the start, and all decoded, of which `images` can be read."""
        self._kind = self._ask("first", path=paths[0])["kind"]
        self._first = time.perf_counter() - self._started
        self.images = int(self._ask("prepare", paths=list(paths))["readable"])

    def round(self, turn: int) -> None:
        """Time it once, in all ways."""
        self._latencies.append(self._ask("latency", count=LATENCIES, start=turn * LATENCIES)["seconds"])
        for name, seen in self._rates.items():
            told = self._ask(name)
            seen.append(told["images"] / told["seconds"])

    def measured(self) -> Measured:
        """What was seen of it in all rounds."""
        memory = self._ask("memory")["bytes"]
        return Measured(
            str(self.folder),
            self._kind,
            latency_p50=over_rounds(self._percentiles(50), LATENCIES),
            latency_p95=over_rounds(self._percentiles(95), LATENCIES),
            files_per_second=over_rounds(self._rates["files"], self.images),
            tensors_per_second=over_rounds(self._rates["tensors"], self.images),
            megabytes=size_of(self.folder),
            memory=None if memory is None else memory / 1e6,
            first_answer=self._first,
        )

    def _percentiles(self, rank: float) -> list[float]:
        return [float(np.percentile(seen, rank)) for seen in self._latencies]

    def _ask(self, do: str, **given: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.communicate()
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()
            raise CheckFailedError(f"{self.folder} could not be measured: {lines[-1] if lines else 'it ended'}")
        answered: dict[str, Any] = json.loads(line)
        return answered


def over_rounds(values: Sequence[float], n: int) -> Estimate:
    """The geometric mean of positive values, one a round, with 95 % limits by Student's t on their logarithms."""
    logs = np.log(np.asarray(values, dtype=np.float64))
    value = float(np.exp(logs.mean()))
    if len(logs) < 2:
        return Estimate(value, None, None, n, "one round")
    half = float(stdtrit(len(logs) - 1, 0.975) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return Estimate(
        value, value * math.exp(-half), value * math.exp(half), n, f"Student's t over {len(logs)} rounds, of logarithms"
    )


def size_of(folder: Path) -> float:
    """The size of what answers, in 10^6 bytes: of a run its bundle, else the folder."""
    root = Run(folder).model_folder if Run.is_in(folder) else folder
    return sum(each.stat().st_size for each in root.rglob("*") if each.is_file()) / 1e6


def _files(images: str | Path | Sequence[str | Path] | None, folders: Sequence[str | Path]) -> Sequence[Located]:
    """The images given, or those that the run was judged on that the first of the folders with one lies in."""
    if images is not None:
        return image_files(images)
    for run in _runs(folders):
        return run.dataset().split(run.judged_on).paths
    raise DataError(
        "none of the folders is a run, nor lies in one, whose images could be used: give some with --images."
    )


def _runs(folders: Sequence[str | Path]) -> Iterator[Run]:
    for folder in map(Path, folders):
        yield from (Run.open(place) for place in (folder, *folder.resolve().parents[:2]) if Run.is_in(place))


def _chosen(paths: Sequence[Located]) -> list[str]:
    """Up to so many of them, evenly chosen; raises DataError where they do not lie on disk each by itself."""
    packed = [path for path in paths if not isinstance(path, Path)]
    if packed or not paths:
        raise DataError("the images lie in an archive, or there are none: unpack some and give them with --images.")
    rows = np.linspace(0, len(paths) - 1, min(MOST_IMAGES, len(paths))).round().astype(int).tolist()
    return [str(paths[row]) for row in rows]


def _cells(measured: Measured) -> tuple[str, ...]:
    """A row of the table."""
    milliseconds = (_told(each, 1000) for each in (measured.latency_p50, measured.latency_p95))
    rates = (_told(each) for each in (measured.files_per_second, measured.tensors_per_second))
    memory = "not told" if measured.memory is None else f"{measured.memory:.0f}"
    sizes = (f"{measured.megabytes:.1f}", memory, f"{measured.first_answer:.2f}")
    return (measured.folder, measured.kind, *milliseconds, *rates, *sizes)


def _told(estimate: Estimate, times: float = 1.0) -> str:
    short: Callable[[float], str] = lambda value: f"{value * times:.3g}"  # noqa: E731
    assert estimate.value is not None
    if estimate.lo is None or estimate.hi is None:
        return short(estimate.value)
    return f"{short(estimate.value)} ({short(estimate.lo)} to {short(estimate.hi)})"
