"""Two ways to do the same work, timed in turns within one run, and the ratio of their times with its interval."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = 5
SIDE = 2048
Work = Callable[[], object]


class Seconds(float):
    """What a work returns that tells its own time, because it does less than what is compared, or more."""


@dataclass(frozen=True)
class Paired:
    """The seconds of each pair, ours and theirs (pairs,)."""

    ours: npt.NDArray[np.float64]
    theirs: npt.NDArray[np.float64]

    @property
    def ratio(self) -> str:
        """How many times longer theirs takes: the median, and 95 % limits of the mean by Student's t on logarithms."""
        logarithms = np.log(self.theirs / self.ours)
        half = student.ppf(0.975, len(logarithms) - 1) * logarithms.std(ddof=1) / np.sqrt(len(logarithms))
        low, high = np.exp(logarithms.mean() + np.array([-half, half]))
        return f"{_short(np.exp(np.median(logarithms)))}x ({_short(low)} to {_short(high)})"

    def ratio_if(self, same: bool) -> str:
        """The ratio where the results were as good, else that they were not."""
        return self.ratio if same else "no ratio: the results differ"


class Apart:
    """A work in a process of its own, which keeps what it has loaded between calls; `result` is what it gave last.

    What either side sets up, how memory is handed out or how many threads there are, does not reach the other.
    """

    def __init__(self, work: Work, environment: Mapping[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, given = context.Pipe()
        self._process = context.Process(target=_serve, args=(given, work, dict(environment or {})))
        self._process.start()
        given.close()
        self.result: Any = None

    def __call__(self) -> Seconds:
        """Have it done once; raises EOFError where the process ended."""
        self._ours.send(None)
        seconds, self.result = self._ours.recv()
        return Seconds(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.join()


def _serve(asked: Connection, work: Work, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # of its own workers: the platform's, as in any script
    while True:
        try:
            asked.recv()
        except EOFError:
            return
        asked.send(_done(work))


def interleave(ours: Work, theirs: Work, pairs: int = PAIRS) -> Paired:
    """Time both in the order A B B A, after one unmeasured call of each."""
    return Paired(*in_turns([ours, theirs], pairs))


def in_turns(works: Sequence[Work], rounds: int = PAIRS) -> list[npt.NDArray[np.float64]]:
    """The seconds (rounds,) of each work, done forwards and backwards by turns, after one unmeasured call of each.

    What a work returns is let go, unless it is `Seconds`.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for turn in range(rounds):
        for number in range(len(works)) if turn % 2 == 0 else reversed(range(len(works))):
            seconds[number].append(_timed(works[number]))
    return [np.array(part) for part in seconds]


def median(seconds: Sequence[float] | npt.NDArray[np.float64]) -> str:
    """A median of seconds as text."""
    return f"{_short(float(np.median(seconds)))} s"


def calibration() -> str:
    """How fast two square matrices are multiplied here and now, in float32 and bfloat16."""
    import torch

    from linnaea.runtime.plan import pick_device

    speeds, device = [], pick_device()
    for kind in (torch.float32, torch.bfloat16):
        left, right = (torch.randn(SIDE, SIDE).to(device, kind) for _ in range(2))
        seconds = min(_timed(partial(_multiply, left, right)) for _ in range(5))
        speeds.append(f"{2 * SIDE**3 / seconds / 1e9:.0f} GFLOP/s in {str(kind).removeprefix('torch.')}")
    return f"{torch.get_num_threads()} threads, products of {SIDE} x {SIDE} on {device}: {' and '.join(speeds)}"


def kernels(code: str) -> list[str]:
    """The names of oneDNN's kernels that a piece of Python runs, most used first."""
    environment = os.environ | {"ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    lines = [
        line.split(",") for line in done.stdout.splitlines() if line.startswith("onednn_verbose") and ",exec," in line
    ]
    spent: dict[str, float] = {}
    for line in lines:
        primitive, kernel = line[line.index("exec") + 2 : line.index("exec") + 4]
        spent[f"{primitive} {kernel}"] = spent.get(f"{primitive} {kernel}", 0.0) + float(line[-1])
    return sorted(spent, key=lambda name: -spent[name])


def _multiply(left: "Tensor", right: "Tensor") -> None:
    (left @ right)[0, 0].item()  # which waits for an accelerator


def _timed(work: Work) -> float:
    return _done(work)[0]


def _done(work: Work) -> tuple[float, object]:
    """The seconds that a work took, or said that it took, and what it gave."""
    started = time.perf_counter()
    result = work()
    return (result if isinstance(result, Seconds) else time.perf_counter() - started), result


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
