"""A workload on a clock that only it moves, and machines that are not this one."""

from dataclasses import replace

import pytest
import torch

from linnaea.runtime.machine import Machine
from linnaea.runtime.plan import Workload

MACHINE = Machine("a processor", "x86_64", 2, 2**33, ("avx2", "amx_bf16"), (), {"cpu": ("bfloat16",)}, "2.15.0")
OUTPUTS = torch.arange(12.0).reshape(4, 3)


class Bench:
    """Steps that take `seconds` per image by precision and memory format, and outputs that are `wrong` by so much."""

    def __init__(self, seconds, wrong=None, batch_size=16, images=10_000, purpose="embed"):
        self.seconds, self.wrong, self.now, self.steps = seconds, wrong or {}, 0.0, []
        self.workload = Workload("a network", purpose, (8, 8, 3), images, batch_size, self.step, self.answers)

    def clock(self):
        return self.now

    def step(self, plan):
        self.steps.append((plan.precision, plan.memory_format, plan.batch_size))
        self.now += self.seconds[plan.precision, plan.memory_format] * plan.batch_size
        return True

    def answers(self, plan):
        self.now += self.seconds[plan.precision, plan.memory_format] * len(OUTPUTS)
        wrong = self.wrong.get(plan.precision, 0.0)
        if isinstance(wrong, Exception):
            raise wrong
        return OUTPUTS + wrong * OUTPUTS.std(dim=0, correction=0) * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])


def speeds(float32=(1.0, 2.0), bfloat16=(0.3, 1.5)):
    """Milliseconds per image in channels_last and contiguous memory, by number format."""
    return {
        (precision, layout): milliseconds / 1000
        for precision, both in {"float32": float32, "bfloat16": bfloat16}.items()
        for layout, milliseconds in zip(("channels_last", "contiguous"), both, strict=True)
    }


@pytest.fixture
def bench():
    return lambda seconds=None, **options: Bench(seconds or speeds(), **options)


@pytest.fixture
def make_speeds():
    return speeds


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Puts measuring on a machine with bfloat16 in hardware, which may be changed, with a memory of its own."""
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))

    def put(**changes):
        monkeypatch.setattr("linnaea.runtime.plan.measuring.detect", lambda: replace(MACHINE, **changes))

    put()
    return put
