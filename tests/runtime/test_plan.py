"""The execution plan is measured, and says what it measured."""

import time

import pytest
import torch

from linnaea.errors import UsageError
from linnaea.runtime import plan as runtime_plan
from linnaea.runtime.doctor import examine
from linnaea.runtime.plan import Plan, measure, pick_device


def test_the_faster_number_format_is_picked(monkeypatch):
    monkeypatch.setattr(runtime_plan, "has_bfloat16", lambda device: True)
    slow = {"float32": 0.02, "bfloat16": 0.002}
    plan = measure("cpu", lambda plan: time.sleep(slow[plan.precision]))
    assert plan.precision == "bfloat16"
    assert dict(plan.measured).keys() == slow.keys()
    slow.update(float32=0.002, bfloat16=0.02)
    assert measure("cpu", lambda plan: time.sleep(slow[plan.precision])).precision == "float32"


def test_without_bfloat16_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(runtime_plan, "has_bfloat16", lambda device: False)
    calls = []
    assert measure("cpu", calls.append).precision == "float32"
    assert calls == []


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_runs_in_the_format_of_the_plan(precision, dtype):
    with Plan("cpu", precision).autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="expected one of auto, cpu"):
        pick_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_an_absent_device_is_refused():
    with pytest.raises(UsageError, match="not available on this machine"):
        pick_device("cuda")


def test_the_doctor_knows_the_machine():
    facts = examine()
    assert facts["threads"] >= 1
    assert facts["extra export"] == "installed"
