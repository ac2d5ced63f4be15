"""Every rung fits, and what `--model` asks for is what is climbed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from linnaea.errors import UsageError
from linnaea.learning.balance import BALANCERS
from linnaea.learning.rungs import RUNGS, Options, steps_for
from linnaea.learning.training import judge
from linnaea.models.network import create_body
from linnaea.models.weights import read_weights

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    """Random weights of timm's smallest network, with the header of a pretrained file."""
    torch.manual_seed(0)
    body = create_body(NAME, 32, {})
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    facts = {"architecture": NAME, "input_size": "32", "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5", "license": "none"}
    save_file(body.state_dict(), path, metadata=facts)
    return path


@pytest.mark.parametrize("name", list(RUNGS))
def test_every_rung_fits_and_answers(name, job, make_bars, weights_file):
    rung = RUNGS[name]
    own = replace(job, train=make_bars(160, 32), val=make_bars(80, 32, seed=1))
    if rung.pretrained:
        own = replace(own, weights=read_weights(weights_file))
    fitted = rung.fit(own)
    loss, accuracy = judge(fitted.model, own.val, own.task, 32, "cpu")
    assert loss == loss, "a number"
    assert accuracy > (0.4 if name == "majority" else 0.6)
    assert fitted.model.eval()(torch.rand(3, 3, 32, 32)).shape == (3, 2)
    assert all(isinstance(note, str) and note.endswith(".") for note in fitted.notes)


@pytest.mark.parametrize(
    ("name", "balance"),
    [
        (name, balance)
        for name, rung in RUNGS.items()
        for balance in ("oversample", "class_weights", "logit_adjustment", "smote")
        if BALANCERS[balance].acts_on in rung.balances
    ],
)
def test_every_rung_is_balanced_as_it_says(name, balance, job, weights_file):
    rung, options = RUNGS[name], replace(job.options, balance=balance, epochs=1, augmentations=())
    weights = read_weights(weights_file) if rung.pretrained else None
    fitted = rung.fit(replace(job, weights=weights, options=options))
    assert any(note.startswith(f"Balanced by {balance}") for note in fitted.notes)


def test_fitting_twice_gives_the_same_model(job):
    first, second = (RUNGS["scratch"].fit(job).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_ladder_without_weights():
    steps, (note,) = steps_for("auto", "none")
    assert [step.name for step in steps] == ["majority", "hog", "scratch"]
    assert "as asked" in note


def test_the_ladder_with_weights(weights_file):
    steps, (note,) = steps_for("auto", weights_file)
    assert [step.name for step in steps] == ["majority", "hog", "frozen", "finetune"]
    assert "tiny.safetensors" in note


def test_a_network_by_name_is_trained_from_scratch_without_weights():
    (step,), _ = steps_for(NAME, "none")
    assert (step.name, step.network, step.rung) == (NAME, NAME, RUNGS["scratch"])


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("resnt18", "none", "Did you mean 'resnet18'"),
        ("hogg", "none", "Did you mean 'hog'"),
        ("frozen", "none", "needs pretrained weights"),
        ("auto", "absent.safetensors", "does not exist"),
        ("majority,hog", "some.safetensors", "has no use for the weights"),
        ("hog,majority,hog", "none", "asked for twice"),
    ],
)
def test_what_cannot_be_had_is_an_error_that_helps(model, weights, message):
    with pytest.raises(UsageError, match=message):
        steps_for(model, weights)


def test_weights_of_another_network_are_refused(weights_file):
    with pytest.raises(UsageError, match="holds weights of test_efficientnet"):
        steps_for("resnet18", weights_file)


def test_pickled_weights_are_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth")
    with pytest.raises(UsageError, match="pickled weights are not loaded"):
        steps_for("auto", tmp_path / "old.pth")


def test_options_reach_the_training(job):
    fitted = RUNGS["scratch"].fit(replace(job, options=Options(epochs=2, batch_size=16, augmentations=())))
    assert len(fitted.history) == 2
    assert fitted.notes == ["Augmentations as asked: none."]
