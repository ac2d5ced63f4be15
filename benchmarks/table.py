"""Results kept as JSON and Markdown, with the machine they were measured on."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(name: str, title: str, rows: list[dict[str, Any]], remarks: str = "") -> None:
    """Print the table and write `results/<name>.json` and `results/<name>.md`."""
    RESULTS.mkdir(exist_ok=True)
    content = {"title": title, "measured": datetime.now(UTC).date().isoformat(), "machine": machine(), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    head = list(rows[0])
    lines = [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(row[key]) for key in head) + " |" for row in rows]
    facts = ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    lines += ["", f"{remarks} Measured on {content['measured']}: {facts}.".strip()]
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{name}.md").write_text(text)
    print(text)


def machine() -> dict[str, str]:
    """The processor, its cores, and the versions that matter."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    kinds = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    libraries = {name: version(name) for name in ("linnaea", "torch", "timm", "scikit-learn")}
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": f"{platform.machine()} with {' '.join(kinds) or 'no wide vectors'}",
        "python": platform.python_version(),
        **libraries,
    }


def photo_sets() -> Path:
    """The folder that LINNAEA_DATA names; exits with the reason where there is none."""
    folder = os.environ.get("LINNAEA_DATA")
    if not folder:
        raise SystemExit("Set LINNAEA_DATA to the folder of photo sets to run this benchmark.")
    return Path(folder)


def weights_of(network: str) -> Path:
    """The file of its ImageNet weights, beside the one that LINNAEA_WEIGHTS names; exits where there is none."""
    given = os.environ.get("LINNAEA_WEIGHTS")
    if not given:
        raise SystemExit("Set LINNAEA_WEIGHTS to a file of ImageNet weights to run this benchmark.")
    return Path(given).with_name(f"{network}.imagenet.safetensors")
