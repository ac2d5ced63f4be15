"""The loop without labels or val: what an objective and a source of batches say is done, and only the first writes."""

import logging
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from material import smooth
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning.augmentations import augment
from linnaea.learning.averaging import Averaged
from linnaea.learning.balance import Balance
from linnaea.learning.batches import Epoch, InMemory
from linnaea.learning.batches.crops import Crops, cropped, decoded_for_crops
from linnaea.learning.hooks import Hook, State, Told
from linnaea.learning.judging import Judge, Judged
from linnaea.learning.keeping import LAST, Kept
from linnaea.learning.loop import DivergedError, Loop
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.schedule import Schedule
from linnaea.models.compact import Compact
from linnaea.task import TASKS


class Points:
    """A source without images or labels: a batch is a tensor (4, 2); it gives as many batches as it says, or not."""

    def __init__(self, steps=5, told=None):
        self.steps, self.told, self.seeds = steps, told or steps, []

    def epoch(self, seed, rank=0, ranks=1):
        self.seeds.append(seed)
        generator = torch.Generator().manual_seed(seed)
        return Epoch(self.told, (torch.randn(4, 2, generator=generator) for _ in range(self.steps)))


def reconstruction(model, batch):
    """An objective of two tensors made from one, as an autoencoder has it."""
    again = model(batch)
    return (again - batch).square().mean(), {"size": batch.norm()}


class Rates(Hook):
    """Notes the rate of each group at each step."""

    def __init__(self):
        self.seen = []

    def after_step(self, state):
        self.seen.append([group["lr"] for group in state.optimizer.param_groups])


def linear(**group):
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    groups = [{"params": [model.weight], **group}, {"params": [model.bias]}]
    return model, torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def loop(hooks=(), schedule=Schedule(4, 4, 0.2), source=None, objective=reconstruction):  # noqa: B008
    fabric = Fabric(accelerator="cpu", devices=1)
    return Loop(fabric, source or Points(), objective, schedule, hooks, seed=3)


def test_it_learns_without_labels_or_val_and_tells_the_figures_of_the_objective():
    rows = []
    history = loop([Told(rows.append)]).run(*linear())
    assert rows == history
    assert list(history[0]) == ["epoch", "seconds", "learning_rate", "train_loss", "train_size"]
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]


def test_the_rate_changes_with_every_step_and_each_group_has_its_own():
    rates = Rates()
    schedule = Schedule(4, 4, 0.2)
    loop([rates], schedule).run(*linear(rate_scale=0.25))
    body, head = np.array(rates.seen).T
    assert head == pytest.approx([schedule.rate((step + 0.5) / 20) for step in range(20)]), "at the middle of each step"
    assert len(set(head[5:10])) == 5
    assert body == pytest.approx(0.25 * head)


def test_a_source_may_give_other_numbers_of_batches_than_it_says():
    for steps, told in ((3, 5), (8, 5)):
        rates = Rates()
        history = loop([rates], source=Points(steps, told)).run(*linear())
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]
        assert np.array(rates.seen).min() > 0 if steps < told else np.array(rates.seen).min() >= 0


class StoppedError(Exception):
    pass


class Stop(Hook):
    """Breaks off in the middle of an epoch."""

    def __init__(self, steps):
        self.left = steps

    def after_step(self, state):
        self.left -= 1
        if self.left == 0:
            raise StoppedError


@pytest.mark.parametrize("steps", [3, 8, 15])
def test_it_resumes_bit_for_bit_with_its_average(steps, tmp_path, caplog):
    caplog.set_level(logging.INFO, "linnaea")

    def run(folder, *more):
        model, optimizer = linear()
        average = Averaged(0.9)
        history = loop([average, *more, Kept(folder, [average])]).run(model, optimizer)
        return model, average, [row["train_loss"] for row in history]

    whole, expected, losses = run(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(tmp_path / "broken", Stop(steps))
    assert not any("goes on after" in message for message in caplog.messages)
    resumed, found, again = run(tmp_path / "broken")
    told = [message for message in caplog.messages if message.startswith("The training goes on after epoch ")]
    assert len(told) == (steps > 20 // len(losses)), "where an epoch was over"
    assert again == losses
    assert torch.equal(resumed.weight, whole.weight)
    assert found.steps == expected.steps == 20
    assert all(torch.equal(found.weights[name], value) for name, value in expected.weights.items())


def test_the_average_is_the_mean_that_its_formula_says():
    seen = []

    class Watch(Hook):
        def after_step(self, state):
            seen.append(state.model.weight.detach().clone())

    model, optimizer = linear()
    start, average = model.weight.detach().clone(), Averaged(0.5)
    loop([Watch(), average]).run(model, optimizer)
    expected = start
    for step, value in enumerate(seen, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert torch.allclose(average.weights["weight"], expected, atol=1e-6)
    own = model.weight.detach().clone()
    with average.shown(model):
        assert torch.equal(model.weight, average.weights["weight"])
    assert torch.equal(model.weight, own)


def test_with_an_average_it_is_the_averaged_weights_that_are_judged_and_kept(make_bars, tmp_path):
    torch.manual_seed(0)
    model = Compact(2, 16, (8, 8, 8))
    optimizer = torch.optim.SGD([part for part in model.parameters() if part.requires_grad], lr=0.1)
    criterion, average = criterion_for(TASKS["binary"]), Averaged(0.9)
    judge = Judge(make_bars(40, seed=1), criterion, 20)
    judged = Judged(judge, "accuracy", 9, tmp_path, average)
    source = InMemory(make_bars(64), 16, draw=lambda seed: np.arange(64))
    objective = Supervised(criterion, Balance(np.ones(2, dtype=np.int64)))
    averaged, plain = [], []

    class Watch(Hook):
        def after_epoch(self, state):
            averaged.append(average.weights["classifier.weight"].clone())
            plain.append(state.model.classifier.weight.detach().clone())

    history = loop([average, judged, Watch()], Schedule(6, 16, 0.3), source, objective).run(model, optimizer)
    kept = judged.best["epoch"]
    assert kept > 0
    assert torch.equal(model.classifier.weight, averaged[kept - 1])
    assert not torch.equal(model.classifier.weight, plain[kept - 1])
    assert judge(model).calibrated == pytest.approx(min(row["val_loss_calibrated"] for row in history), rel=1e-5)


def test_a_deadline_is_kept_within_an_epoch():
    class Slow(Hook):
        steps = 0

        def after_step(self, state):
            self.steps += 1
            time.sleep(0.01)

    slow = Slow()
    schedule = Schedule(2, 4, 0.1, deadline=time.monotonic() + 0.3)
    history = loop([slow], schedule, Points(500)).run(*linear())
    assert len(history) == 1
    assert history[0]["learning_rate"] == 0
    assert 1 <= slow.steps < 60


def test_time_that_a_hook_needs_afterwards_is_kept_before_the_deadline():
    class Needy(Hook):
        seconds = 1000.0

    history = loop([Needy()], Schedule(2, 4, 0.1, deadline=time.monotonic() + 900)).run(*linear())
    assert history == []


def test_the_time_before_a_break_counts(tmp_path):
    model, optimizer = linear()
    earlier = [{"epoch": 1, "seconds": 1000.0, "learning_rate": 0.1}]
    Kept(tmp_path).after_epoch(State(model, model, optimizer, history=earlier, began=time.monotonic() - 1000))
    history = loop([Kept(tmp_path)]).run(model, optimizer)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert all(row["seconds"] >= 1000 for row in history)


def test_a_training_that_was_stopped_is_not_gone_on_with(tmp_path):
    class StopAfterTwo(Hook):
        def after_epoch(self, state):
            state.stopping = len(state.history) == 2

    for _ in range(2):
        history = loop([StopAfterTwo(), Kept(tmp_path)]).run(*linear())
        assert len(history) == 2


def test_only_the_first_process_tells_and_writes(tmp_path):
    rows = []
    model, optimizer = linear()
    for first in (False, True):
        state = State(model, model, optimizer, first=first, history=[{"epoch": 1, "seconds": 1.0}])
        for hook in (Told(rows.append), Kept(tmp_path)):
            hook.after_epoch(state)
        assert len(rows) == first
        assert (tmp_path / LAST).exists() == first


TOGETHER = """
import sys
import torch
from lightning_fabric import Fabric
from pathlib import Path
from torch import nn
from linnaea.learning.batches import Epoch
from linnaea.learning.hooks import Told
from linnaea.learning.keeping import Kept
from linnaea.learning.loop import Loop
from linnaea.learning.schedule import Schedule


class Parts:
    def epoch(self, seed, rank=0, ranks=1):
        generator = torch.Generator().manual_seed(seed)
        return Epoch(4, iter([torch.randn(8, 2, generator=generator)[rank::ranks] for _ in range(4)]))


def train(fabric, folder):
    torch.manual_seed(0)
    model, rows = nn.Linear(2, 2), []
    optimizer, schedule = torch.optim.SGD(model.parameters(), lr=0.1), Schedule(3, 8, 0.2)
    kept = folder / str(fabric.world_size)  # each training its own: neither goes on from the other's
    hooks = [Told(rows.append), Kept(kept)]
    history = Loop(fabric, Parts(), lambda model, batch: ((model(batch) - batch).square().mean(), {}), schedule, hooks)
    losses = [row["train_loss"] for row in history.run(model, optimizer)]
    torch.save((model.weight.detach(), losses, len(rows)), folder / f"{fabric.world_size} {fabric.global_rank}.pt")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for ranks, strategy in ((2, "ddp_fork"), (1, "auto")):
        (folder / str(ranks)).mkdir()
        Fabric(accelerator="cpu", devices=ranks, strategy=strategy).launch(train, folder)
"""


def test_two_processes_learn_together_what_one_does(tmp_path):
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True, timeout=120)
    weights, losses, told = zip(*(torch.load(tmp_path / f"{name}.pt") for name in ("1 0", "2 0", "2 1")), strict=True)
    assert told == (3, 3, 0), "only the first tells"
    for other in (1, 2):
        assert torch.allclose(weights[0], weights[other], atol=1e-6)
        assert losses[other] == pytest.approx(losses[0], rel=1e-5)


def test_a_loss_that_is_no_number_ends_the_training():
    def diverging(model, batch):
        return model(batch).sum() * math.nan, {}

    with pytest.raises(DivergedError, match="became nan in epoch 1"):
        loop(objective=diverging).run(*linear())


@pytest.mark.parametrize("make", ["memory", "crops"])
def test_processes_share_each_batch_and_seeds_repeat_an_epoch(make, make_bars):
    bars = make_bars(50)

    def source(draw=lambda seed: np.arange(50)):
        return InMemory(bars, 12, draw, ("shift",)) if make == "memory" else Crops(bars, 8, 12, draw)

    def drawn(seed, *place):
        steps, batches, *_ = source().epoch(seed, *place)
        found = list(batches)
        assert len(found) == steps == 5
        return found

    first, second, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(one[0], two[0]) for one, two in zip(first, second, strict=True))
    assert not all(torch.equal(one[0], two[0]) for one, two in zip(first, other, strict=True))
    whole = [len(targets) for _, targets in first]
    assert [a + b for a, b in zip(*([len(t) for _, t in drawn(1, rank, 2)] for rank in (0, 1)), strict=True)] == whole
    assert sorted(torch.cat([targets for _, targets in first]).tolist()) == sorted(bars.targets.tolist())


def test_crops_of_a_larger_decoding_are_sharper_than_crops_enlarged(tmp_path):
    from linnaea.data.images.pixels import Recipe

    paths = []
    for number in range(4):
        paths.append(tmp_path / f"{number}.png")
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        from PIL import Image

        Image.fromarray(noise).save(paths[-1])
    targets = np.arange(4)
    large = decoded_for_crops(paths, targets, Recipe(32), 64)
    assert large.size == 64
    small = decoded_for_crops(paths, targets, Recipe(32), 32)
    assert small.size == 32
    parts = [cropped(one.batch(targets)[0], 32, 0.25, torch.Generator().manual_seed(0)) for one in (large, small)]
    fine = [float(part.float().diff(dim=3).abs().mean()) for part in parts]
    assert fine[0] > 1.5 * fine[1]


def test_a_crop_of_everything_is_the_whole_image():
    images = torch.from_numpy(np.stack([np.asarray(smooth(number, 32)) for number in range(3)])).permute(0, 3, 1, 2)
    whole = cropped(images, 32, 1.0, torch.Generator().manual_seed(0)).float()
    assert (whole - images.float()).abs().mean() < 12, "all of it, but for the stretching"
    areas = [cropped(images, 16, 0.3, torch.Generator().manual_seed(seed)).float() for seed in range(2)]
    assert not torch.equal(*areas)


def test_crops_of_images_that_are_too_small_are_refused(make_bars):
    with pytest.raises(UsageError, match="decoded at 16 pixels, and the network sees 32"):
        Crops(make_bars(4), 32, 2, lambda seed: np.arange(4))
    with pytest.raises(UsageError, match="least_area is 0"):
        Crops(make_bars(4), 8, 2, lambda seed: np.arange(4), least_area=0)


@pytest.mark.parametrize("name", [None, "class_weights", "focal", "logit_adjustment"])
def test_smoothing_stays_under_every_balance(name, make_bars):
    bars = make_bars(30)
    logits = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    losses = [
        Supervised(criterion_for(TASKS["binary"]), Balance.of(name, bars.targets, 2), smoothing)(
            lambda pixels: logits, bars.batch(np.arange(30))
        )[0]
        for smoothing in (0.0, 0.2)
    ]
    assert abs(float(losses[1] - losses[0])) > 1e-3


def test_mixing_is_the_objectives_and_its_labels_are_mixed(make_bars):
    bars = make_bars(16)
    seen = []

    def model(pixels):
        seen.append(pixels)
        return torch.zeros(len(pixels), 2)

    criterion = criterion_for(TASKS["binary"])
    balance = Balance(np.ones(2, dtype=np.int64))
    torch.manual_seed(0)
    Supervised(criterion, balance, mixing=("mixup:10",))(model, bars.batch(np.arange(16)))
    Supervised(criterion, balance)(model, bars.batch(np.arange(16)))
    assert not torch.equal(*seen)
    assert 0 <= seen[0].min() <= seen[0].max() <= 1


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_images_are_mixed_where_they_lie(name):
    """The meta device refuses tensors of another one, as an accelerator does."""
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8, device="meta")
    mixed = augment(images, torch.zeros(4, 3, device="meta"), (name,), torch.default_generator, 3)
    assert [part.device.type for part in mixed] == ["meta", "meta"]
