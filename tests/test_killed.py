"""A small version of `python -m benchmarks killed`: `kill -9` at a few moments, then the same weights, bit for bit."""

import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, random, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from linnaea.learning import keeping
from linnaea.learning.examples import Examples
from linnaea.learning.rungs import RUNGS, Job, Options, TrainingRecipe
from linnaea.runtime.files import write_tensors
from linnaea.task import TASKS

keeping.SHARE = 0.3  # many checkpoints
place, draw = Path(sys.argv[1]), np.random.default_rng(0)
images = draw.integers(0, 200, (136, 16, 16, 3), dtype=np.uint8)
targets = draw.integers(0, 2, 136)
images[targets == 1] += 40
recipe = TrainingRecipe(optimizer="sgd", schedule="plateau:0.5", ema=0.9, accumulate=2)
options = Options(4, 0.01, 8, ("shift", "mixup"), recipe=recipe, precision="float32", checkpoint_every=0.0)
parts = [Examples(images[rows], targets[rows]) for rows in (slice(96), slice(96, None))]
job = Job(*parts, 2, TASKS["binary"], options)


def train(name):
    fitted = RUNGS["scratch"].fit(replace(job, checkpoints=place / name))
    write_tensors(place / f"{name}.safetensors", fitted.model.state_dict())


def started(name):
    child = multiprocessing.get_context("fork").Process(target=train, args=(name,))
    child.start()
    return child


began = time.monotonic()
started("whole").join()
seconds, chance, within = time.monotonic() - began, random.Random(0), 0
for kill in range(4):
    child = started("killed")
    while child.is_alive() and not (place / "killed" / "last.safetensors").exists():
        time.sleep(0.05)
    child.join(seconds * chance.uniform(0.0, 0.3))
    child.kill()
    child.join()
    within += (place / "killed" / "last.safetensors").exists()
child = started("killed")
child.join()
assert child.exitcode == 0
assert within > 0, "it was killed before anything was kept"
expected, found = ((place / f"{name}.safetensors").read_bytes() for name in ("whole", "killed"))
assert expected == found
"""


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
