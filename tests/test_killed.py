"""A small version of `python -m benchmarks killed`: `kill -9` at a few moments, then the same weights, bit for bit."""

import subprocess
import sys

SCRIPT = """
import importlib, random, sys
from pathlib import Path
from benchmarks.killed import COMMON, RECIPES, digits, killed

importlib.import_module("linnaea.experiments.training")
photos = digits(Path(sys.argv[1]) / "digits")
options = COMMON | list(RECIPES.values())[0] | {"epochs": 3, "hold_out": [str(digit) for digit in range(3, 10)]}
tally = killed(photos, Path(sys.argv[1]) / "runs", options, 4, random.Random(1))
assert tally.kills == 4, tally
assert tally.same == tally.ended >= 1, tally
"""


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
