"""What a training survives: a loss that is no number, memory that runs out, and being asked to end."""

import json
import math
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning import keeping
from linnaea.learning.averaging import Averaged
from linnaea.learning.batches import Epoch
from linnaea.learning.hooks import Hook
from linnaea.learning.keeping import LAST, Kept, SetBack
from linnaea.learning.loop import DivergedError, Loop
from linnaea.learning.memory import ShortageError, in_parts
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.rungs import RUNGS, TrainingRecipe
from linnaea.learning.schedule import Schedule
from linnaea.runtime import stopping
from linnaea.runtime.plan.memory import is_shortage

STEPS = 6
SCHEDULE = Schedule(3, 8, 0.1, name="constant")


class Points:
    """Batches of 8 points, with targets; 6 of them in an epoch."""

    def epoch(self, seed, rank=0, ranks=1):
        generator = torch.Generator().manual_seed(seed)
        made = ((torch.randn(8, 3, generator=generator), torch.randn(8, generator=generator)) for _ in range(STEPS))
        return Epoch(STEPS, made)


def squares(model, batch):
    points, targets = batch
    errors = (model(points).squeeze(1) - targets).square()
    return errors.mean(), {"worst": errors.mean().sqrt()}


class Watch(Hook):
    """Notes the rate of each step, and keeps the state."""

    def __init__(self):
        self.rates = []

    def begin(self, state):
        self.state = state

    def after_step(self, state):
        self.rates.append(state.optimizer.param_groups[0]["lr"])


def train(objective=squares, hooks=(), schedule=SCHEDULE, make=torch.optim.SGD, accumulate=1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    watch = Watch()
    fabric = Fabric(accelerator="cpu", devices=1)
    loop = Loop(fabric, Points(), objective, schedule, [watch, *hooks], 3, accumulate)
    history = loop.run(model, make(model.parameters(), lr=0.1))
    return model, history, watch


def breaking(at, *values):
    """The objective, but for the steps counted from 1 with these values instead of their loss."""
    count = [0]

    def objective(model, batch):
        count[0] += 1
        loss, figures = squares(model, batch)
        place = count[0] - at
        return (loss * values[place] if 0 <= place < len(values) else loss), figures

    return objective


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(keeping, "SHARE", math.inf)


def test_a_training_goes_back_to_its_last_checkpoint_with_half_the_rate(tmp_path, every_step, caplog):
    average = Averaged(0.9)
    kept = Kept(tmp_path, [average], every=0.0)
    model, history, watch = train(breaking(9, math.nan), [average, kept, SetBack(kept)])
    assert watch.rates == [0.1] * 8 + [0.05] * 10, "the third step of the second epoch is taken again"
    said = "The training loss became nan in epoch 2, batch 3. Training went back to batch 2 of epoch 2"
    assert said in caplog.text
    assert [said in row.get("note", "") for row in history] == [False, True, False]
    assert all(math.isfinite(row["train_loss"]) for row in history)
    assert history[-1]["learning_rate"] == 0.05
    assert average.steps == 3 * STEPS
    assert all(torch.isfinite(part).all() for part in model.parameters())


class Halved(Schedule):
    """Half the rate from the ninth step on."""

    def rate(self, progress, history=()):
        return self.learning_rate * (1.0 if progress * 3 * STEPS < 8 else 0.5)


def test_a_training_that_went_back_is_one_that_halves_its_rate_there(tmp_path, every_step):
    expected, rows, _ = train(schedule=Halved(3, 8, 0.1), make=torch.optim.Adam)
    kept = Kept(tmp_path, every=0.0)
    model, found, _ = train(breaking(9, math.inf), [kept, SetBack(kept)], make=torch.optim.Adam)
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in found]
    assert all(torch.equal(one, two) for one, two in zip(expected.parameters(), model.parameters(), strict=True))


def test_it_goes_back_three_times_and_then_stops(tmp_path, every_step):
    kept = Kept(tmp_path, every=0.0)
    back = SetBack(kept)
    with pytest.raises(DivergedError, match="became nan in epoch 2, batch 3"):
        train(breaking(9, *[math.nan] * 4), [kept, back])
    assert json.loads(_state(tmp_path))["setbacks"] == 3
    _, history, _ = train(
        breaking(9, *[math.nan] * 3), [Kept(tmp_path / "b", every=0.0), SetBack(Kept(tmp_path / "b"))]
    )
    assert history[-1]["learning_rate"] == 0.1 / 8


class Killed(Hook):
    """Kills a training at the step after it went back."""

    def after_step(self, state):
        if state.setbacks:
            raise KeyboardInterrupt


def test_a_training_killed_after_it_went_back_goes_on_as_it_would_have(tmp_path, every_step):
    def noisy(objective):
        return lambda model, batch: objective(model, (batch[0] + torch.randn_like(batch[0]), batch[1]))

    def go_on(folder, objective, *hooks):
        kept = Kept(folder, every=0.0)
        return train(noisy(objective), [*hooks, kept, SetBack(kept)])[0].state_dict()

    whole = go_on(tmp_path / "whole", breaking(9, math.nan))
    with pytest.raises(KeyboardInterrupt):
        go_on(tmp_path / "killed", breaking(9, math.nan), Killed())
    resumed = go_on(tmp_path / "killed", squares)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def _state(folder):
    from safetensors import safe_open

    with safe_open(folder / LAST, "pt") as handle:
        return handle.metadata()["state"]


def test_the_first_step_may_fail_as_well(tmp_path):
    kept = Kept(tmp_path)
    _, history, _ = train(breaking(1, math.nan), [kept, SetBack(kept)])
    assert "went back to the start" in history[0]["note"]


def test_a_rung_goes_back_where_that_is_asked_for(job, monkeypatch, tmp_path):
    plain, count = Supervised.__call__, [0]

    def once(self, model, batch):
        count[0] += 1
        loss, figures = plain(self, model, batch)
        return (loss * math.nan if count[0] == 8 else loss), figures

    monkeypatch.setattr(Supervised, "__call__", once)
    options = replace(job.options, augmentations=())
    with pytest.raises(DivergedError):
        RUNGS["scratch"].fit(replace(job, options=options))
    count[0] = 0
    options = replace(options, recipe=TrainingRecipe(on_nan="rollback"))
    fitted = RUNGS["scratch"].fit(replace(job, options=options))
    assert any("Training went back to" in note for note in fitted.notes)
    assert any("Training went back to" in note for note in fitted.plan["notes"])
    assert [bool(row.get("note")) for row in fitted.history].count(True) == 1


SHORTAGES = {
    "processor": lambda: torch.empty(2**60),
    "python": lambda: (_ for _ in ()).throw(MemoryError()),
    "cuda": lambda: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")),
}


@pytest.mark.parametrize("kind", SHORTAGES)
def test_a_shortage_of_memory_is_known_by_what_is_raised(kind):
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        SHORTAGES[kind]()
    assert is_shortage(caught.value)
    assert not is_shortage(RuntimeError("shapes cannot be multiplied"))


def hungry(most, kind="processor"):
    """An objective for which there is memory for so many points at once."""
    seen = []

    def objective(model, batch):
        if len(batch[0]) > most:
            SHORTAGES[kind]()
        seen.append(len(batch[0]))
        return squares(model, batch)

    return objective, seen


@pytest.mark.parametrize("kind", SHORTAGES)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_where_memory_runs_out_batches_are_halved_and_steps_stay_the_same(kind, accumulate, caplog):
    plain, expected, _ = train(accumulate=accumulate)
    objective, seen = hungry(2, kind)
    model, history, watch = train(objective, accumulate=accumulate)
    assert seen == [2] * 4 * STEPS * 3
    assert watch.state.parts == 4
    for one, two in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
    assert [row["train_loss"] for row in history] == pytest.approx([row["train_loss"] for row in expected], rel=1e-5)
    assert "Memory ran out with batches of 8 images: they are halved to 4" in history[0]["note"]
    images = 8 * accumulate
    assert f"{4 * accumulate} are added, so that a step stays one of {images} images" in history[0]["note"]
    assert "batch normalisation, sees the smaller ones" in caplog.text
    assert all("note" not in row for row in history[1:])


def test_what_was_halved_stays_so_when_a_training_goes_on(tmp_path, every_step):
    class Stop(Hook):
        left = 8

        def after_step(self, state):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    whole, _, _ = train(hungry(4)[0])
    with pytest.raises(KeyboardInterrupt):
        train(hungry(4)[0], [Kept(tmp_path, every=0.0), Stop()])
    again, _, watch = train(hungry(4)[0], [Kept(tmp_path)])
    assert watch.state.parts == 2
    assert sum("Memory ran out" in note for note in watch.state.notes) == 1
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), again.parameters(), strict=True))


def test_where_one_image_does_not_fit_it_says_so():
    with pytest.raises(ShortageError, match="memory ran out in a step of 2 images, which cannot be halved: use a smal"):
        train(hungry(0)[0])


def test_an_error_that_is_no_shortage_is_told_as_it_is():
    def wrong(model, batch):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        train(wrong)


def test_parts_are_equal_but_for_one():
    batch = (torch.arange(10), torch.arange(20).view(10, 2))
    parts = in_parts(batch, 4)
    assert [len(images) for images, _ in parts] == [3, 3, 2, 2]
    assert torch.equal(torch.cat([images for images, _ in parts]), batch[0])
    assert torch.equal(torch.cat([targets for _, targets in parts]), batch[1])


class Asked(Hook):
    """Sends a signal to this process in the middle of a step's hooks."""

    def __init__(self, number, at):
        self.number, self.left, self.after = number, at, 0

    def after_step(self, state):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
            time.sleep(0.01)
            self.after += 1


@pytest.fixture
def heard():
    """The answers of this process to both signals: KeyboardInterrupt, and who was told."""
    told = []

    def answer(number, frame):
        told.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    yield told
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_asked_to_end_keeps_all_that_was_done(number, heard, tmp_path):
    whole, rows, _ = train()
    asked = Asked(number, 9)
    with pytest.raises(KeyboardInterrupt):
        train(hooks=[asked, Kept(tmp_path)])
    assert asked.after == 1, "the step was ended first"
    assert heard == [number]
    assert json.loads(_state(tmp_path))["batches"] == 3
    assert signal.getsignal(number).__name__ == "answer", "as it was before"
    again, found, watch = train(hooks=[Kept(tmp_path)])
    assert len(watch.rates) == 9
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in found]
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_second_signal_and_a_long_step_are_not_waited_for(heard, monkeypatch):
    def one_and(more):
        with stopping.Stopping():
            signal.raise_signal(signal.SIGTERM)
            assert heard == []
            more()

    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        one_and(lambda: time.sleep(5))
    assert time.monotonic() - began < 4
    heard.clear()
    monkeypatch.setattr(stopping, "PATIENCE", 60)
    with pytest.raises(KeyboardInterrupt):
        one_and(lambda: signal.raise_signal(signal.SIGINT))
    assert heard == [signal.SIGINT]


def test_a_signal_after_the_last_step_is_not_lost(heard):
    with pytest.raises(KeyboardInterrupt), stopping.Stopping():
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_other_threads_train_as_well():
    found = []
    thread = threading.Thread(target=lambda: found.append(train()[1]))
    thread.start()
    thread.join()
    assert len(found[0]) == 3


def test_on_nan_has_two_words():
    from linnaea.options import Learning

    with pytest.raises(UsageError, match="on_nan"):
        Learning(on_nan="rolback")
