"""A process of its own that loads one folder and is timed: what it is asked comes as a line of JSON, and so its answer.

Run by `linnaea.experiments.benching`, as `python -m linnaea.experiments.bench_worker FOLDER THREADS`.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

AT_ONCE = 32  # images


def main(folder: str, threads: str) -> None:
    """Answer until there are no more lines."""
    bind(int(threads))
    replies = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    worker = Worker(Path(folder))
    for line in sys.stdin:
        replies.write(json.dumps(worker.asked(**json.loads(line))) + "\n")
        replies.flush()


def bind(threads: int) -> None:
    """Let this process use so many cores, where the system can tell it which."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class Worker:
    """One classifier and the images that it is asked about."""

    def __init__(self, folder: Path) -> None:
        from linnaea.experiments.finished_run import finished_classifier

        self.classifier = finished_classifier(folder)
        self.paths: list[Path] = []
        self.pixels: Any = None

    def asked(self, do: str, **given: Any) -> Mapping[str, Any]:
        """Do what is asked, and say what came of it."""
        answered: Mapping[str, Any] = getattr(self, do)(**given)
        return answered

    def first(self, path: str) -> Mapping[str, Any]:
        """Answer for one image."""
        self.classifier.predict([path])
        return {"kind": self.classifier.scorer.kind}

    def prepare(self, paths: list[str]) -> Mapping[str, Any]:
        """Decode the images once, and answer for one of each kind of question, which is not timed."""
        from linnaea.data.images.pixels import decode_files

        self.paths = [Path(path) for path in paths]
        decoded = decode_files(self.paths, self.classifier.recipe, keep=False)
        self.paths = [path for row, path in enumerate(self.paths) if row not in decoded.failed]
        self.pixels = decoded.kept().images
        if self.paths:
            self.classifier.predict(self.paths[:1])
            self.classifier.score(self.pixels[:AT_ONCE])
        return {"readable": len(self.paths)}

    def latency(self, count: int, start: int) -> Mapping[str, Any]:
        """Seconds from a file to its answer, one after the other."""
        chosen = [self.paths[(start + number) % len(self.paths)] for number in range(count)]
        return {"seconds": [_timed(lambda path=path: self.classifier.predict([path])) for path in chosen]}

    def files(self) -> Mapping[str, Any]:
        """Seconds from all files to their answers."""
        return {"seconds": _timed(lambda: self.classifier.predict(self.paths)), "images": len(self.paths)}

    def tensors(self) -> Mapping[str, Any]:
        """Seconds from all decoded images to what the runtime says of them."""
        return {"seconds": _timed(lambda: self.classifier.score(self.pixels)), "images": len(self.paths)}

    def memory(self) -> Mapping[str, Any]:
        """The most bytes of main memory that the process has held; None where the system does not tell."""
        return {"bytes": most_memory()}


def most_memory(status: Path = Path("/proc/self/status")) -> int | None:
    """The most bytes of main memory that this process has held; None where the system does not tell.

    Linux counts in `ru_maxrss` what the process that started this one held, so there it is asked for the peak of this
    program's own memory.
    """
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if sys.platform == "darwin" else None


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
