"""The execution plan: which number format is fastest on this machine for this network, measured, never assumed."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from linnaea.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Plan:
    """How a network runs: device, number format for the heavy layers, threads, and the seconds measured for each."""

    device: str
    precision: str = "float32"
    threads: int = 1
    measured: tuple[tuple[str, float], ...] = ()

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which a forward pass runs under this plan."""
        reduced = self.precision == "bfloat16"
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=reduced)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {"memory_format": "channels_last", "measured": dict(self.measured)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Plan":
        """The inverse of `to_json`."""
        measured = tuple(content["measured"].items())
        return cls(content["device"], content["precision"], content["threads"], measured)


def pick_device(name: str = "auto") -> str:
    """The device asked for, or the best one there is; raises UsageError when it is not there."""
    if name not in DEVICES:
        raise UsageError(f"the device is {name!r}; expected one of {', '.join(DEVICES)}.")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise UsageError(f"the device {name!r} is not available on this machine: use --device auto or cpu.")
    return name


def pick_precision(name: str) -> str:
    """The number format asked for; raises UsageError when it is none."""
    if name not in PRECISIONS:
        raise UsageError(f"the precision is {name!r}; expected one of {', '.join(PRECISIONS)}.")
    return name


def available_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16") or found.get("bf16"))
    return False


def measure(device: str, step: Callable[[Plan], object], precision: str = "auto", repeats: int = 2) -> Plan:
    """Time `step` under each candidate plan, after one unmeasured call, and return the fastest.

    A `precision` other than "auto" is taken as it is, unmeasured.
    """
    plain = Plan(device, threads=torch.get_num_threads())
    if precision != "auto":
        return replace(plain, precision=precision)
    candidates = [plain, replace(plain, precision="bfloat16")] if has_bfloat16(device) else [plain]
    if len(candidates) == 1:
        return plain
    seconds = {plan.precision: min(_timed(step, plan, device) for _ in range(repeats + 1)) for plan in candidates}
    best = min(candidates, key=lambda plan: seconds[plan.precision])
    return replace(best, measured=tuple((name, round(value, 4)) for name, value in seconds.items()))


def _timed(step: Callable[[Plan], object], plan: Plan, device: str) -> float:
    started = time.perf_counter()
    step(plan)
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
