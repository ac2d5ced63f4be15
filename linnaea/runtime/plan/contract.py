"""How a network runs: device, number format, memory format, batch size, threads, and what was measured of each."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from linnaea.errors import UsageError
from linnaea.runtime.arguments import DEVICES, MEMORY_FORMATS, PRECISIONS, require_one_of

SOURCES = ("default", "given", "measured", "remembered")
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
REDUCED = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Timing:
    """What was seen of one candidate.

    `images_per_second` is None where it was refused before it was timed, which `remark` explains; `difference` is the
    root mean square of what its outputs differ from float32 by, over that of the spread of the outputs.
    """

    precision: str
    memory_format: str
    batch_size: int
    images_per_second: float | None = None
    difference: float | None = None
    remark: str = ""

    @property
    def name(self) -> str:
        """Such as "bfloat16 channels_last 16", the last being images per batch."""
        return f"{self.precision} {self.memory_format} {self.batch_size}"

    def to_json(self) -> dict[str, Any]:
        """What was seen, as JSON types."""
        return {"images_per_second": self.images_per_second, "difference": self.difference, "remark": self.remark}

    @classmethod
    def from_json(cls, name: str, content: Mapping[str, Any]) -> "Timing":
        """The inverse of `name` and `to_json`; raises ValueError, KeyError or TypeError for what is no timing."""
        precision, memory_format, batch_size = name.split()
        speed, wrong = _number(content["images_per_second"]), _number(content["difference"])
        return cls(precision, memory_format, int(batch_size), speed, wrong, str(content["remark"]))


@dataclass(frozen=True)
class Plan:
    """How a network runs: device, number format of the heavy layers, threads, memory format, images per batch.

    `batch_size` None leaves the number to the caller. `source` says where the plan is from: "default" (not measured),
    "given" by hand, "measured" now, or "remembered"; `notes` are sentences on what should be known of it.
    """

    device: str
    precision: str = "float32"
    threads: int = 1
    memory_format: str = "channels_last"
    batch_size: int | None = None
    source: str = "default"
    measured: tuple[Timing, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of weights and pixels, as torch names it."""
        return LAYOUTS[self.memory_format]

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which a forward pass runs under this plan."""
        dtype = REDUCED.get(self.precision)
        return torch.autocast(torch.device(self.device).type, dtype or torch.bfloat16, enabled=dtype is not None)

    def in_float32(self) -> "Plan":
        """The same in float32, for what the reduced format cannot hold."""
        return replace(self, precision="float32")

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {
            "measured": {timing.name: timing.to_json() for timing in self.measured},
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Plan":
        """The inverse of `to_json`; raises ValueError, KeyError or TypeError for what is no plan."""
        batch_size = content["batch_size"]
        return cls(
            device=_known(content["device"], DEVICES[1:]),
            precision=_known(content["precision"], PRECISIONS[1:]),
            threads=int(content["threads"]),
            memory_format=_known(content["memory_format"], MEMORY_FORMATS[1:]),
            batch_size=None if batch_size is None else max(1, int(batch_size)),
            source=_known(content["source"], SOURCES),
            measured=tuple(Timing.from_json(name, seen) for name, seen in dict(content["measured"]).items()),
            notes=tuple(map(str, content["notes"])),
        )


def _known(value: Any, expected: tuple[str, ...]) -> str:
    if value not in expected:
        raise ValueError(f"{value!r} is not one of {', '.join(expected)}")
    return str(value)


def _number(value: Any) -> float | None:
    if value is not None and not math.isfinite(float(value)):
        raise ValueError(f"{value} is not a number")
    return None if value is None else float(value)


def pick_device(name: str = "auto") -> str:
    """The device asked for, or the best one there is; raises UsageError when it is not there."""
    require_one_of(DEVICES, "device", name)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        raise UsageError(f"the device {name!r} is not available on this machine: use --device auto or cpu.")
    return name


def pick_precision(name: str, device: str = "cpu") -> str:
    """The number format asked for; raises UsageError when it is none, or none that the device can be trained in."""
    require_one_of(PRECISIONS, "precision", name)
    if name == "float16" and device != "cuda":
        raise UsageError(
            f"the precision float16 is only for cuda, where gradients are scaled; the device is {device}: use "
            "--precision auto, float32 or bfloat16."
        )
    return name


def pick_memory_format(name: str) -> str:
    """The memory format asked for; raises UsageError when it is none."""
    require_one_of(MEMORY_FORMATS, "memory_format", name)
    return name
