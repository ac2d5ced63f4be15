"""Checkpoints within an epoch: whatever a training is made of, it goes on bit for bit; what cannot be used is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from linnaea.learning import keeping
from linnaea.learning.batches import InMemory
from linnaea.learning.batches.crops import Crops
from linnaea.learning.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from linnaea.learning.hooks import State
from linnaea.learning.keeping import LAST, PREVIOUS, Kept
from linnaea.learning.loop import Loop
from linnaea.learning.optimizers import OPTIMIZERS
from linnaea.learning.rungs import RUNGS, TrainingRecipe
from linnaea.learning.schedule import Schedule


class StoppedError(Exception):
    pass


@pytest.fixture
def every_step(monkeypatch):
    """Checkpoints are written after every step; gives what breaks a training off after so many of them."""
    monkeypatch.setattr(keeping, "SHARE", np.inf)
    plain = save_checkpoint

    def break_off(after):
        left = [after]

        def save(path, *arguments, **options):
            made = plain(path, *arguments, **options)
            left[0] -= 1
            if not left[0]:
                raise StoppedError
            return made

        monkeypatch.setattr(keeping, "save_checkpoint", save)

    return break_off


def fit(job, folder=None, **recipe):
    options = replace(job.options, checkpoint_every=0.0, batch_size=16, recipe=TrainingRecipe(**recipe))
    own = replace(job, options=options, network="test_resnet", checkpoints=folder)
    fitted = RUNGS["scratch"].fit(own)
    weights = {name: value.clone() for name, value in fitted.model.state_dict().items()}
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in fitted.history]
    return weights, rows


def require_same(first, second):
    assert first[1] == second[1]
    assert [name for name in first[0] if not torch.equal(first[0][name], second[0][name])] == []


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_training_broken_off_within_an_epoch_ends_with_the_same_weights(name, job, make_bars, tmp_path, every_step):
    """With mixing, dropped features and paths, averages, accumulation and a schedule that looks at val."""
    job = replace(job, train=make_bars(80), val=make_bars(32, seed=1))
    job = replace(job, options=replace(job.options, augmentations=("shift", "mixup", "trivialaugment")))
    recipe = {"optimizer": name, "dropout": 0.2, "drop_path": 0.2, "accumulate": 2, "clip_norm": 1.0}
    recipe |= {} if name == "schedule_free" else {"schedule": "plateau:0.5", "ema": 0.9}
    whole = fit(job, **recipe)
    for after in (2, 5):  # of 4 in an epoch, the last of them after judging
        every_step(after)
        with pytest.raises(StoppedError):
            fit(job, tmp_path, **recipe)
    with safe_open(tmp_path / LAST, "pt") as handle:
        assert json.loads(handle.metadata()["state"])["batches"] > 0, "it is within an epoch"
    every_step(0)
    require_same(whole, fit(job, tmp_path, **recipe))


@pytest.mark.parametrize("make", ["memory", "crops", "plain"])
def test_every_source_goes_on_with_the_batches_that_are_left(make, make_bars):
    bars = make_bars(50)

    def epoch():
        draw = lambda seed: np.arange(50)  # noqa: E731
        source = Crops(bars, 8, 12, draw) if make == "crops" else InMemory(bars, 12, draw, ("shift", "cutout"))
        found = source.epoch(5)
        return found._replace(rest=None) if make == "plain" else found

    whole, broken = epoch(), epoch()
    all_of_them = list(whole.batches)
    for _ in range(2):
        next(broken.batches)
    drawn = broken.generator.get_state()
    rest = list(epoch().after(2, drawn))
    assert len(rest) == 3
    assert all(torch.equal(one[0], two[0]) for one, two in zip(all_of_them[2:], rest, strict=True))


def kept(folder, **belongs):
    """A folder with two checkpoints of a small network, the later one of epoch 2."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    hook = Kept(folder, belongs=belongs)
    state = State(model, model, optimizer)
    for epoch in (1, 2):
        state.history.append({"epoch": epoch})
        hook.keep(state)
        nn.init.zeros_(model.weight)
    return hook, state


def damage(path, kind):
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[:-7])
    elif kind == "another byte":
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    elif kind == "another number":
        with safe_open(path, "pt") as handle:
            facts = handle.metadata() | {"groups": json.dumps([{"lr": 9.0}])}
        save_file(load_file(path), path, facts)
    elif kind == "of something else":
        save_file({"a": torch.ones(2)}, path)
    else:
        path.write_bytes(b"")


KINDS = {
    "cut off": "cannot be read",
    "another byte": "is damaged",
    "another number": "is damaged",
    "of something else": "is none, or one of an earlier version",
    "empty": "cannot be read",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(kind, tmp_path, caplog):
    hook, state = kept(tmp_path)
    damage(tmp_path / LAST, kind)
    nn.init.ones_(state.model.bias)
    hook.begin(state)
    assert [row["epoch"] for row in state.history] == [1]
    assert state.model.weight.abs().sum() > 0, "as it was before it was set to zero"
    assert f"{LAST} {KINDS[kind]}" in caplog.text
    assert f"the one before it, {PREVIOUS}, is used" in caplog.text


def test_where_none_can_be_used_training_is_refused_and_nothing_filled(tmp_path):
    hook, state = kept(tmp_path)
    for name in (LAST, PREVIOUS):
        damage(tmp_path / name, "another byte")
    nn.init.ones_(state.model.bias)
    with pytest.raises(CheckpointError, match=rf"{LAST} is damaged.*delete the folder {tmp_path} to train"):
        hook.begin(state)
    assert torch.equal(state.model.bias, torch.ones(2))
    assert len(state.history) == 2


def test_killed_between_two_files_the_earlier_one_is_used(tmp_path):
    hook, state = kept(tmp_path)
    (tmp_path / LAST).unlink()
    assert keeping.resumable(tmp_path)
    hook.begin(state)
    assert [row["epoch"] for row in state.history] == [1]


def test_a_checkpoint_of_another_network_is_refused_with_the_difference(tmp_path):
    hook, state = kept(tmp_path)
    other = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match=r"another network: weight is \(2, 3\) and should be \(2, 4\)"):
        hook.begin(State(other, other, optimizer))
    two = torch.optim.SGD([{"params": [state.model.weight]}, {"params": [state.model.bias]}], lr=0.1)
    with pytest.raises(CheckpointError, match="has 1 groups of parameters where there are 2"):
        hook.begin(State(state.model, state.model, two))


def test_a_checkpoint_of_another_training_is_refused_with_the_difference(tmp_path):
    _, state = kept(tmp_path, data="a", seed=0)
    with pytest.raises(CheckpointError, match="belongs to another training: its seed was 0 and is now 1"):
        Kept(tmp_path, belongs={"data": "a", "seed": 1}).begin(state)


def test_a_rung_refuses_the_checkpoint_of_other_images(job, make_bars, tmp_path, every_step):
    every_step(2)
    with pytest.raises(StoppedError):
        fit(job, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to another training: its data was"):
        fit(replace(job, train=make_bars(160, seed=7)), tmp_path)


def test_weights_that_are_no_numbers_are_not_kept(tmp_path):
    hook, state = kept(tmp_path)
    before = (tmp_path / LAST).read_bytes()
    state.model.weight.data[0, 0] = torch.nan
    hook.keep(state)
    assert (tmp_path / LAST).read_bytes() == before


class Points:
    def epoch(self, seed, rank=0, ranks=1):
        from linnaea.learning.batches import Epoch

        generator = torch.Generator().manual_seed(seed)
        return Epoch(400, (torch.randn(4, 2, generator=generator) for _ in range(400)))


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    plain, written = keeping.save_checkpoint, []

    def slow(*arguments, **options):
        import time

        time.sleep(0.01)
        written.append(time.monotonic())
        return plain(*arguments, **options)

    def objective(model, batch):
        return model(batch).square().mean(), {}

    monkeypatch.setattr(keeping, "save_checkpoint", slow)
    model = nn.Linear(2, 2)
    loop = Loop(Fabric(accelerator="cpu", devices=1), Points(), objective, Schedule(8, 4, 0.1))
    history = replace(loop, hooks=[Kept(tmp_path, every=0.0)]).run(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert 0.01 * len(written) < 0.04 * history[-1]["seconds"] + 0.02
    assert load_checkpoint(tmp_path / LAST, model, None)[0]["history"] is not None
