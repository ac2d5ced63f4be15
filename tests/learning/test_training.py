"""The training loop: it learns, it resumes as if never stopped, and it says so when it cannot go on."""

import time

import pytest
import torch

from linnaea.errors import RunError
from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint
from linnaea.learning.job import Job, Options
from linnaea.learning.judging import Judge
from linnaea.learning.loop import DivergedError
from linnaea.learning.losses import criterion_for
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

PLAN = Plan("cpu")
TASK = TASKS["binary"]


def network(widths=(8, 8, 8)):
    torch.manual_seed(0)
    model = Compact(2, 16, widths)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return model, torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True)


def train(model, optimizer, examples, val, schedule, *, augmentations=(), label_smoothing=0.0, **more):
    job = Job(examples, val, 2, TASK, Options(), **more)
    learnt = {"augmentations": augmentations, "label_smoothing": label_smoothing}
    return train_network(job, model, optimizer, schedule, PLAN, **learnt)


def learn(make_bars, schedule, **options):
    model, optimizer = network()
    trained = train(model, optimizer, make_bars(160), make_bars(80, seed=1), schedule, **options)
    return model, trained.history


def judge(model, examples, batch_size=16):
    return Judge(examples, criterion_for(TASK), batch_size)(model)


def test_it_learns_and_writes_a_row_per_epoch(make_bars):
    rows = []
    model, history = learn(make_bars, Schedule(6, 16, 0.2), on_epoch=rows.append)
    assert rows == history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert judge(model, make_bars(80, seed=1), 32).score > 0.9


def test_the_best_epoch_is_what_remains(make_bars):
    model, history = learn(make_bars, Schedule(6, 16, 0.5))
    kept = judge(model, make_bars(80, seed=1))
    assert kept.calibrated == pytest.approx(min(row["val_loss_calibrated"] for row in history), rel=1e-4)


def test_resumed_training_ends_where_unbroken_training_does(make_bars, tmp_path):
    schedule = Schedule(4, 16, 0.1)
    whole, history = learn(make_bars, schedule, augmentations=("shift", "flip"), label_smoothing=0.1)

    class StoppedError(Exception):
        pass

    def stop(row):
        if row["epoch"] == 3:
            raise StoppedError  # epoch 3 ran, but its checkpoint was not written

    options = {"augmentations": ("shift", "flip"), "label_smoothing": 0.1, "checkpoints": tmp_path}
    with pytest.raises(StoppedError):
        learn(make_bars, schedule, on_epoch=stop, **options)
    resumed, again = learn(make_bars, schedule, **options)
    for (name, expected), found in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name
    assert [row["train_loss"] for row in again] == [row["train_loss"] for row in history]


def test_early_stopping_waits_for_its_patience(make_bars):
    _, history = learn(make_bars, Schedule(50, 160, 1e-9, patience=3))
    assert len(history) < 50
    best = min(range(len(history)), key=lambda row: history[row]["val_loss_calibrated"])
    assert len(history) - (best + 1) == 3


def test_a_deadline_ends_the_schedule_and_the_training(make_bars):
    deadline = time.monotonic() + 1.0
    _, history = learn(make_bars, Schedule(100_000, 16, 0.1, patience=100_000, deadline=deadline))
    assert 1 <= len(history) < 100_000
    assert history[-1]["learning_rate"] == 0


def test_a_training_of_one_step_learns(make_bars):
    model, optimizer = network()
    before = model.classifier.weight.detach().clone()
    few = make_bars(16)
    trained = train(model, optimizer, few, few, Schedule(1, 16, 0.2))
    assert len(trained.history) == 1
    assert not torch.equal(before, model.classifier.weight) or trained.kept == 0
    assert trained.history[0]["val_loss_calibrated"] != trained.start


def test_an_over_confident_epoch_is_judged_by_what_it_knows(make_bars):
    """Logits times a hundred have a far higher loss and, at their best temperature, the same."""
    model, _ = network()
    examples = make_bars(50)
    plain = judge(model, examples)
    model.classifier.weight.data *= 100
    loud = judge(model, examples)
    assert loud.loss > plain.loss + 0.1
    assert loud.calibrated == pytest.approx(plain.calibrated, abs=1e-3)
    assert loud.calibrated <= plain.loss


def test_weights_that_no_epoch_beats_are_kept_and_told(make_bars):
    model, optimizer = network()
    bars = make_bars(160)
    train(model, optimizer, bars, bars, Schedule(6, 16, 0.2))
    good = {name: value.clone() for name, value in model.state_dict().items()}
    worst = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1.0)
    trained = train(model, worst, bars, bars, Schedule(1, 16, 50.0))
    assert trained.kept == 0
    assert trained.loss == trained.start < trained.history[0]["val_loss_calibrated"]
    assert all(torch.equal(good[name], value) for name, value in model.state_dict().items())


def test_divergence_is_an_error_that_says_what_to_change(make_bars):
    with pytest.raises(DivergedError, match="--lr"):
        learn(make_bars, Schedule(4, 16, 1e12))


@pytest.mark.parametrize("progress", [0.0, 0.05, 0.15, 0.5, 1.0])
def test_rate_rises_then_falls_to_zero(progress):
    schedule = Schedule(10, 32, 0.4)
    assert 0 <= schedule.rate(progress) <= 0.4
    assert schedule.rate(0.15) == pytest.approx(0.4)
    assert schedule.rate(1.0) == 0


def test_a_checkpoint_brings_everything_back(tmp_path):
    model, optimizer = network()
    model(torch.rand(4, 3, 16, 16)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "last.safetensors", model, optimizer, {"epoch": 3})
    other, fresh = network((8, 8, 8))
    torch.nn.init.zeros_(other.classifier.weight)
    assert load_checkpoint(tmp_path / "last.safetensors", other, fresh) == ({"epoch": 3}, {})
    assert torch.equal(other.classifier.weight, model.classifier.weight)
    found, expected = (chosen.state_dict()["state"] for chosen in (fresh, optimizer))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key]["momentum_buffer"], expected[key]["momentum_buffer"]) for key in expected)


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path):
    model, _ = network()
    path = save_checkpoint(tmp_path / "last.safetensors", model, None, {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"last\.safetensors"):
        load_checkpoint(path, model, None)


def test_judge_gives_mean_loss_and_accuracy(make_bars):
    model, _ = network()
    examples = make_bars(50)
    found = judge(model, examples, 7)
    loss, accuracy = found.loss, found.score
    with torch.no_grad():
        logits = model(torch.from_numpy(examples.images).permute(0, 3, 1, 2).float() / 255)
    targets = torch.from_numpy(examples.targets)
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, targets)), rel=1e-5)
    assert accuracy == pytest.approx(float((logits.argmax(1) == targets).float().mean()))
