"""The same answers, and the right plan, on machines that this one can play."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from linnaea.models.embedding import embed
from linnaea.models.network import Network
from linnaea.runtime.machine import detect
from linnaea.runtime.plan import Plan

PROGRAM = """
import json, os, sys
bound = {"one core": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})}
bound.get(sys.argv[1], lambda: None)()
import numpy as np, torch
from linnaea.models.embedding import embed, measure_embedding
from linnaea.models.network import Network
from linnaea.runtime.machine import detect
torch.manual_seed(0)
model = Network("test_resnet", 3, 32)
images = np.load(sys.argv[2])
plan = measure_embedding(model, images, count=1000)
features = embed(model, images).tolist()
machine = detect()
print(json.dumps({"plan": plan.to_json(), "features": features, "instructions": machine.instructions,
    "cores": machine.cores, "reduced": machine.reduced["cpu"], "fingerprint": machine.fingerprint}))
"""


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def play(images, tmp_path):
    """What the program says on another machine."""
    np.save(tmp_path / "images.npy", images)

    def run(part="", **environment):
        own = os.environ | {"LINNAEA_CACHE": str(tmp_path / "cache")} | environment
        command = [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM, part, str(tmp_path / "images.npy")]
        done = subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def features(images):
    torch.manual_seed(0)
    return embed(Network("test_resnet", 3, 32), images, Plan("cpu"))


def test_a_machine_without_amx_and_avx512_answers_the_same_in_float32(play, features):
    told = play(ONEDNN_MAX_CPU_ISA="AVX2")
    assert set(told["instructions"]) <= {"avx2", "arm_bf16"}
    np.testing.assert_allclose(told["features"], features, rtol=1e-3, atol=1e-4)
    if "arm_bf16" not in told["instructions"]:
        assert told["reduced"] == []
        assert told["plan"]["precision"] == "float32"
        assert all(name.startswith("float32") for name in told["plan"]["measured"])
    if "avx512" in detect().instructions:
        assert told["fingerprint"] != detect().fingerprint, "a plan of the one is not used on the other"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to a core")
def test_one_core_is_enough(play, features):
    told = play("one core")
    assert told["cores"] == told["plan"]["threads"] == 1
    np.testing.assert_allclose(told["features"], features, rtol=1e-3, atol=1e-4)
