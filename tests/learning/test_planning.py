"""Training follows its plan: formats that were measured, batches that fit, and no trace of the measuring."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning.balance import Balance
from linnaea.learning.job import Job
from linnaea.learning.loop import DivergedError
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.planning import Wanted, measure_training, narrow_maps
from linnaea.learning.rungs import RUNGS, Options
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.model import Model
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

OBJECTIVE = Supervised(criterion_for(TASKS["binary"]), Balance(np.ones(2, dtype=np.int64)))


class Steep(Model):
    """Its gradient is the root of a brightness that rounds to a negative number in bfloat16: no number there."""

    kind = "steep"

    def __init__(self):
        super().__init__(classes=2)
        self.scale = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.scale.weight)

    def features(self, pixels):
        value = self.scale(torch.full((len(pixels), 1), 0.9999)).float()
        return pixels.mean(dim=(1, 2, 3))[:, None] + torch.sqrt(1.0 - value) * (self.training * 1.0)

    def head(self, features):
        return torch.cat([features, -features], dim=1)


@pytest.fixture
def reduced(monkeypatch):
    """bfloat16 is tried, on whatever machine this is, and nothing is remembered."""
    monkeypatch.setattr("linnaea.runtime.machine.reduced_formats", lambda device: ("bfloat16",))
    monkeypatch.setenv("LINNAEA_CACHE", "none")


def test_measuring_leaves_no_trace(make_bars, reduced):
    torch.manual_seed(0)
    model = Network("test_resnet", 2, 32).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    plan = measure_training(model, make_bars(40, 32), OBJECTIVE, 16, images=1000)
    assert plan.source == "measured"
    assert torch.equal(torch.get_rng_state(), random)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_all_formats_agree_however_often_a_step_was_taken(make_bars, reduced):
    torch.manual_seed(0)
    plan = measure_training(Network("test_resnet", 2, 32), make_bars(40, 32), OBJECTIVE, 16, images=1000)
    assert plan.notes == ()
    for seen in plan.measured:
        assert seen.difference < (1e-4 if seen.precision == "float32" else 0.2)


def test_gradients_that_are_no_numbers_lead_back_to_float32(make_bars, reduced, caplog):
    plan = measure_training(Steep(), make_bars(40), OBJECTIVE, 16, images=1000)
    assert plan.precision == "float32"
    assert "bfloat16 in channels_last gives NaN or infinity in a step: it is not used." in plan.notes
    assert "gives NaN or infinity in a step" in caplog.text


def test_maps_narrower_than_a_stride_are_not_trained_on_in_16_bits(make_bars, reduced):
    model = Network("test_resnet", 2, 16)
    plan = measure_training(model, make_bars(40), OBJECTIVE, 16, images=1000)
    assert plan.precision == "float32"
    assert plan.notes[0].startswith(
        "bfloat16 in channels_last gives wrong gradients where a stride of 2 meets a feature map 1 w"
    )
    with pytest.raises(UsageError, match=r"bfloat16 gives wrong gradients .*: use --precision float32 or auto\.$"):
        measure_training(model, make_bars(40), OBJECTIVE, 16, images=1000, wanted=Wanted(precision="bfloat16"))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "width", "narrow"),
    [(3, 2, 1, 1, True), (3, 2, 1, 2, False), (7, 4, 3, 3, True), (1, 2, 0, 1, False), (3, 1, 1, 1, False)],
)
def test_narrow_maps_are_those_whose_gradients_go_wrong(kernel, stride, padding, width, narrow):
    """In the formats that are said to be right, gradients are those of float32, whatever was in memory before."""
    torch.manual_seed(0)
    network = nn.Conv2d(48, 64, kernel, stride, padding, bias=False)
    inputs = torch.randn(8, 48, width, width)

    def gradient(reduced):
        network.zero_grad()
        with Plan("cpu", "bfloat16" if reduced else "float32").autocast():
            outputs = network(inputs)
        outputs.float().square().sum().backward()
        return network.weight.grad.clone()

    assert bool(narrow_maps(network, lambda: network(inputs))) == narrow
    expected = gradient(False)
    for _ in range(0 if narrow else 10):
        del [torch.full((size * network.weight.numel(),), math.nan) for size in (1, 2, 3)][:]
        assert torch.linalg.norm(gradient(True) - expected) < 0.05 * torch.linalg.norm(expected)


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fit_follows_its_plan(layout, precision, make_bars):
    seen = []

    class Watched(Network):
        def features(self, pixels):
            seen.append((pixels.is_contiguous(memory_format=torch.channels_last), torch.is_autocast_enabled("cpu")))
            return super().features(pixels)

    torch.manual_seed(0)
    model = Watched("test_resnet", 2, 32)
    seen.clear()
    job = Job(make_bars(32, 32), make_bars(16, 32, seed=1), 2, TASKS["binary"], Options())
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    train_network(job, model, optimizer, Schedule(1, 16, 0.01), Plan("cpu", precision, memory_format=layout))
    assert set(seen) == {(layout == "channels_last", precision == "bfloat16")}


def test_float32_learns_the_same_in_both_memory_formats(make_bars):
    histories = []
    for layout in ("channels_last", "contiguous"):
        torch.manual_seed(0)
        model = Network("test_resnet", 2, 16)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        plan = Plan("cpu", memory_format=layout)
        job = Job(make_bars(64), make_bars(32, seed=1), 2, TASKS["binary"], Options())
        histories.append(train_network(job, model, optimizer, Schedule(2, 16, 0.01), plan))
    for one, other in zip(*(trained.history for trained in histories), strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3)


def test_a_loss_that_diverges_in_a_reduced_format_names_both_ways_out(make_bars):
    model = Steep()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    job = Job(make_bars(32), make_bars(16, seed=1), 2, TASKS["binary"], Options())
    with pytest.raises(DivergedError, match=r"use a smaller --lr or --precision float32\.$"):
        train_network(job, model, optimizer, Schedule(1, 16, 0.01), Plan("cpu", "bfloat16"))


def test_a_memory_limit_halves_the_batch_and_the_run_says_so(job, monkeypatch, tmp_path):
    monkeypatch.setattr("linnaea.runtime.plan.workload.usable_memory", lambda device: 18 * 10**6)
    own = replace(
        job,
        checkpoints=tmp_path,
        network="test_resnet",
        options=Options(epochs=1, precision="float32", augmentations=()),
    )
    fitted = RUNGS["scratch"].fit(replace(own, train=job.train))
    usual = 16
    batch = fitted.plan["batch_size"]
    assert batch < usual
    assert math.log2(usual / batch).is_integer()
    assert any(note.startswith(f"Batches of {batch} images instead of {usual}") for note in fitted.notes)
    kept = json.loads((tmp_path / "plan.json").read_text())
    assert kept["batch_size"] == batch, "a resumed training goes on with it"


def test_a_batch_given_by_hand_is_kept_and_doubted(job, monkeypatch):
    monkeypatch.setattr("linnaea.runtime.plan.workload.usable_memory", lambda device: 25 * 10**6)
    options = replace(job.options, epochs=1, augmentations=())
    fitted = RUNGS["scratch"].fit(replace(job, network="test_resnet", options=options))
    assert fitted.plan["batch_size"] == options.batch_size == 32
    assert any(note.startswith("Batches of 32 images, as requested, may not fit into memory") for note in fitted.notes)


def test_measuring_takes_a_share_of_the_time_that_is_left(job):
    assert job.measuring_seconds == 15
    from time import monotonic

    assert 0 < replace(job, deadline=monotonic() + 100).measuring_seconds <= 5
    assert replace(job, deadline=monotonic() - 1).measuring_seconds == 0


def test_a_resumed_training_keeps_its_formats(job, tmp_path):
    own = replace(job, checkpoints=tmp_path, network="test_resnet", options=replace(job.options, augmentations=()))
    RUNGS["scratch"].fit(own)
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"memory_format": "contiguous"}))
    (tmp_path / "last.safetensors").unlink()
    fitted = RUNGS["scratch"].fit(own)
    assert fitted.plan["memory_format"] == "contiguous"
    assert np.isfinite([row["val_loss"] for row in fitted.history]).all()


def test_a_batch_larger_than_the_data_is_brought_down_with_a_note(job, caplog):
    options = replace(job.options, batch_size=1000, epochs=1, augmentations=())
    fitted = RUNGS["scratch"].fit(replace(job, options=options))
    assert fitted.plan["batch_size"] == len(job.train) == 160
    assert "Batches of 160 images instead of 1000: there are no more training images." in fitted.notes
    assert "Batches of 160 images instead of 1000" in caplog.text
    assert fitted.plan["notes"][0].startswith("Batches of 160")


@pytest.mark.slow
def test_batch_auto_takes_what_was_found_and_keeps_it(job, monkeypatch, tmp_path):
    """On 1600 images an epoch has 20 steps of 80."""
    monkeypatch.setattr("linnaea.runtime.plan.growing.GAIN", 0.0)
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    options = replace(job.options, batch_size="auto", epochs=1, augmentations=())
    train = replace(job.train, images=np.tile(job.train.images, (10, 1, 1, 1)), targets=np.tile(job.train.targets, 10))
    own = replace(job, train=train, network="test_resnet", options=options, checkpoints=tmp_path)
    fitted = RUNGS["scratch"].fit(own)
    assert fitted.plan["batch_size"] == 80, "the usual one"
    assert any("with 160 an epoch would have too few steps" in note for note in fitted.notes)
    monkeypatch.setattr("linnaea.learning.rungs.planned.FEWEST_STEPS", 5)
    (tmp_path / "plan.json").unlink()
    (tmp_path / "last.safetensors").unlink()
    fitted = RUNGS["scratch"].fit(own)
    assert fitted.plan["batch_size"] == 320
    assert json.loads((tmp_path / "plan.json").read_text())["batch_size"] == 320


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 4.0), ("adamw", 2.0), (None, 2.0), ("lion", 2.0)])
def test_the_rate_follows_the_batch(optimizer, factor, job, monkeypatch):
    """In proportion for gradient descent, by the square root for the others, with and without accumulation."""
    from linnaea.learning.rungs import TrainingRecipe, scratch

    rates = []

    def catch(job, model, optimizer, schedule, plan, **more):
        rates.append(schedule.learning_rate)
        raise KeyboardInterrupt

    monkeypatch.setattr(scratch, "train_network", catch)
    for batch, accumulate in ((16, None), (64, None), (32, 2)):
        recipe = TrainingRecipe(optimizer=optimizer, accumulate=accumulate)
        options = replace(job.options, batch_size=batch, augmentations=(), recipe=recipe)
        with pytest.raises(KeyboardInterrupt):
            RUNGS["scratch"].fit(replace(job, options=options))
    assert rates[1] / rates[0] == pytest.approx(factor)
    assert rates[2] == pytest.approx(rates[1])
