"""What this machine and this installation can do."""

import importlib.util
import os
import platform
from importlib.metadata import version
from typing import Any

import torch

from linnaea.runtime.plan import available_threads, has_bfloat16, pick_device

EXTRAS = {"export": ("onnx", "onnxscript", "onnxruntime")}


def examine() -> dict[str, Any]:
    """Facts by name: versions, device, threads, number formats, memory and which extras are installed."""
    device = pick_device("auto")
    facts: dict[str, Any] = {
        "linnaea": version("linnaea"),
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")},
        "device": device if device != "cuda" else f"cuda ({torch.cuda.get_device_name()})",
        "threads": available_threads(),
        "bfloat16 in hardware": "yes" if has_bfloat16(device) else "no",
        "memory": _memory(),
    }
    for extra, libraries in EXTRAS.items():
        missing = [name for name in libraries if importlib.util.find_spec(name) is None]
        mend = f"pip install 'linnaea[{extra}]' (missing: {', '.join(missing)})"
        facts[f"extra {extra}"] = mend if missing else "installed"
    return facts


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "not told by this system"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
