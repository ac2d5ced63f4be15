"""What this machine and this installation can do."""

import importlib.util
import platform
from importlib.metadata import version
from typing import Any

from linnaea.runtime.machine import detect, total_memory
from linnaea.runtime.plan import pick_device

EXTRAS = {"export": ("onnx", "onnxscript", "onnxruntime", "openvino")}


def examine() -> dict[str, Any]:
    """Facts by name: versions, device, cores, instruction sets, number formats, memory, which extras are installed."""
    device, machine = pick_device("auto"), detect()
    facts: dict[str, Any] = {
        "linnaea": version("linnaea"),
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: version(name) for name in ("torch", "torchvision", "timm", "numpy", "pillow")},
        "processor": machine.processor,
        "instructions": " ".join(machine.instructions) or "none that matter here",
        "device": device,
        "accelerators": ", ".join(machine.accelerators) or "none",
        "threads": machine.cores,
        "bfloat16 in hardware": "yes" if "bfloat16" in machine.reduced[device] else "no",
        "formats to try": ", ".join(["float32", *machine.reduced[device]]),
        "memory": _memory(machine.memory),
        "fingerprint": machine.fingerprint,
    }
    for extra, libraries in EXTRAS.items():
        missing = [name for name in libraries if importlib.util.find_spec(name) is None]
        mend = f"pip install 'linnaea[{extra}]' (missing: {', '.join(missing)})"
        facts[f"extra {extra}"] = mend if missing else "installed"
    return facts


def _memory(usable: int | None) -> str:
    whole = total_memory()
    if usable is None or whole is None:
        return "not known on this system"
    return f"{usable / 2**30:.1f} GiB free for this process, of {whole / 2**30:.1f}"
