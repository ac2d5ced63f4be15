"""What this process may use of the machine: cores, memory, instruction sets, accelerators."""

import hashlib
import logging
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from linnaea.runtime.allocation import keep_freed_memory
from linnaea.runtime.arguments import DEVICES
from linnaea.runtime.cgroups import granted

INSTRUCTIONS = {  # ours: as torch names them, and as /proc/cpuinfo does
    "avx2": ("avx2", "avx2"),
    "avx512": ("avx512_f", "avx512f"),
    "avx512_bf16": ("avx512_bf16", "avx512_bf16"),
    "avx512_fp16": ("avx512_fp16", "avx512_fp16"),
    "amx_bf16": ("amx_bf16", "amx_bf16"),
    "amx_fp16": ("amx_fp16", "amx_fp16"),
    "arm_bf16": ("bf16", "bf16"),
}
OF_INTEL = ("avx2", "avx512", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")
CAPS = {  # the values of ONEDNN_MAX_CPU_ISA: how many of these instruction sets oneDNN then uses
    **dict.fromkeys(("SSE41", "AVX"), 0),
    **dict.fromkeys(("AVX2", "AVX2_VNNI", "AVX2_VNNI_2"), 1),
    **dict.fromkeys(("AVX512_CORE", "AVX512_CORE_VNNI"), 2),
    "AVX512_CORE_BF16": 3,
    **dict.fromkeys(("AVX512_CORE_FP16", "AVX10_1_512", "AVX10_2_512"), 4),
    **dict.fromkeys(("AVX512_CORE_AMX", "AVX10_1_512_AMX"), 5),
}
BFLOAT16 = {"avx512_bf16", "amx_bf16", "arm_bf16"}
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Machine:
    """What this process may use: `memory` in bytes, free now (None: not told), `instructions` that the kernels use.

    `accelerators` are the names of the GPUs, `reduced` the number formats of 16 bits to be tried on each device, and
    `torch` is its version.
    """

    processor: str
    architecture: str
    cores: int
    memory: int | None
    instructions: tuple[str, ...]
    accelerators: tuple[str, ...]
    reduced: Mapping[str, tuple[str, ...]]
    torch: str

    @property
    def fingerprint(self) -> str:
        """Sixteen digits that are other on a machine where other things are fast; memory comes and goes."""
        facts = {name: value for name, value in asdict(self).items() if name != "memory"}
        return hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {"fingerprint": self.fingerprint}


def detect() -> Machine:
    """Look at the machine, as it is now, with the limits of this process."""
    import torch

    return Machine(
        processor=_processor(),
        architecture=platform.machine(),
        cores=available_threads(),
        memory=available_memory(),
        instructions=instructions(),
        accelerators=_accelerators(),
        reduced={device: reduced_formats(device) for device in DEVICES[1:]},
        torch=torch.__version__,
    )


def available_threads(root: Path = Path("/")) -> int:
    """Cores that this process may use, at least 1: those it is bound to, or as many as its control group grants."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = granted(root).cores
    return max(1, min(bound, math.ceil(quota) if quota else bound))


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of main memory that this process can still take; None where the system does not tell."""
    told = _meminfo(root)
    known = [told["MemAvailable"] if "MemAvailable" in told else total_memory(), granted(root).memory]
    return min((value for value in known if value is not None), default=None)


def instructions(caps: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The instruction sets that oneDNN, which multiplies for torch, uses: none that ONEDNN_MAX_CPU_ISA forbids."""
    import torch

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return tuple(name for name in _present() if name not in BFLOAT16)
    given = caps.get("ONEDNN_MAX_CPU_ISA") or caps.get("DNNL_MAX_CPU_ISA") or ""
    allowed = OF_INTEL[: CAPS.get(given.upper(), len(OF_INTEL))]  # oneDNN takes no notice of a word it does not know
    return tuple(name for name in _present() if name in allowed or name not in OF_INTEL)


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and not BFLOAT16.isdisjoint(instructions())


def reduced_formats(device: str) -> tuple[str, ...]:
    """The number formats of 16 bits that are worth trying on a device ("cpu", "cuda", "mps").

    bfloat16 where it is in hardware. float16, which overflows above 65,504, only on GPUs without it: processors that
    are fast in float16 (AMX) are as fast in bfloat16, and with AVX-512 alone it was slower than float32.
    """
    if has_bfloat16(device):
        return ("bfloat16",)
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ("float16",) if there.get(device) else ()


def prepare_processor() -> None:
    """Keep freed memory, and torch from starting more threads than a control group grants cores.

    More threads than cores wait for one another, and everything takes many times as long. OMP_NUM_THREADS decides where
    it is set; see `linnaea.runtime.allocation` for the memory.
    """
    keep_freed_memory()
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    cores = available_threads()
    if torch.get_num_threads() > cores:
        logger.info(
            f"Using {cores} of {torch.get_num_threads()} threads, because this process may only use {cores} cores."
        )
        torch.set_num_threads(cores)


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Let torch use one thread for each operation, meanwhile; gives the number of threads there were, for the caller.

    An operation of microseconds that is split between threads waits for the last of them, which on a busy machine may
    take ten times as long as doing it alone: many such operations are better done whole, several at a time.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


@lru_cache
def _present() -> tuple[str, ...]:
    """The instruction sets that the processor has, as torch tells, or Linux where torch is too old to."""
    import torch

    ask = getattr(torch.cpu, "get_capabilities", None)
    found = ask() if ask else _flags(Path("/proc/cpuinfo"))
    own = {name: torchs if ask else linuxs for name, (torchs, linuxs) in INSTRUCTIONS.items()}
    return tuple(name for name, word in own.items() if found.get(word))


def _flags(cpuinfo: Path) -> dict[str, bool]:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return dict.fromkeys(found[1].split(), True) if found else {}


@lru_cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _accelerators() -> tuple[str, ...]:
    import torch

    names = [f"cuda: {torch.cuda.get_device_name(number)}" for number in range(torch.cuda.device_count())]
    return (*names, "mps") if torch.backends.mps.is_available() else tuple(names)


def _meminfo(root: Path) -> dict[str, int]:
    """Bytes by name, as Linux tells them."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    return {found[1]: 1024 * int(found[2]) for found in re.finditer(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def total_memory() -> int | None:
    """Bytes of main memory there are; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
