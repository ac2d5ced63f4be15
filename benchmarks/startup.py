"""How long the command line takes to answer, and what it imports to do so."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import keep

REPEATS = 15


def main() -> None:
    """Time `--help` and a bad argument in fresh processes, beside an empty Python."""
    linnaea = str(Path(sys.executable).with_name("linnaea"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "linnaea --help": [linnaea, "--help"],
        "linnaea train --help": [linnaea, "train", "--help"],
        "linnaea trian (a mistake)": [linnaea, "trian"],
        "import linnaea": [sys.executable, "-c", "import linnaea"],
    }
    rows = [{"command": name, **timed(command)} for name, command in commands.items()]
    probe = "import sys, linnaea; print('torch' in sys.modules)"
    imported = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()
    keep("startup", "Start-up", rows, f"`import linnaea` imports torch: {imported}. The aim for --help was 150 ms.")


def timed(command: list[str]) -> dict[str, str]:
    """Median and range of the wall-clock milliseconds, after one unmeasured call."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        seconds.append(1000 * (time.perf_counter() - started))
    measured = seconds[1:]
    return {
        "median": f"{statistics.median(measured):.0f} ms",
        "range": f"{min(measured):.0f} to {max(measured):.0f} ms",
    }


if __name__ == "__main__":
    main()
