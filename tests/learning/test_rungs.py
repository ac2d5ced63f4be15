"""Every rung fits, and what `--model` asks for is what is climbed."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from linnaea.errors import LinnaeaError, UsageError
from linnaea.learning.balance import BALANCERS
from linnaea.learning.judging import Judge
from linnaea.learning.model_names import kind_of
from linnaea.learning.rungs import RUNGS, Options, Step, require_use_of_loss, scratch, steps_for
from linnaea.models import MODELS, Model
from linnaea.models.compact import Compact
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


def judged(model, job):
    return Judge(job.val, job.criterion, 32)(model)


@pytest.mark.parametrize("name", list(RUNGS))
def test_every_rung_fits_and_answers(name, job, make_bars, weights_file):
    rung = RUNGS[name]
    own = replace(job, train=make_bars(160, 32), val=make_bars(80, 32, seed=1))
    if rung.pretrained:
        own = replace(own, weights=read_weights(weights_file))
    fitted = rung.fit(own)
    found = judged(fitted.model, own)
    assert found.loss == found.loss, "a number"
    assert found.score > (0.4 if name == "majority" else 0.6)
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
    assert "as requested" in note


def test_the_ladder_with_weights(weights_file):
    steps, (note,) = steps_for("auto", weights_file)
    assert [step.name for step in steps] == ["majority", "hog", "frozen", "finetune"]
    assert "tiny.safetensors" in note


def test_a_network_by_name_is_trained_from_scratch_without_weights():
    (step,), _ = steps_for(NAME, "none")
    assert (step.name, step.network, step.rung) == (NAME, NAME, RUNGS["scratch"])


def test_every_kind_of_weight_of_the_compact_network_has_its_own_rate(job, monkeypatch):
    seen = []

    class Watched(scratch.Muon):
        def step(self, closure=None):
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    monkeypatch.setattr(scratch, "Muon", Watched)
    scratch.fit_scratch(replace(job, options=replace(job.options, epochs=2)))
    others, biases, orthogonal = torch.tensor(seen).T
    assert torch.allclose(biases, scratch.BIAS_RATE * others)
    assert torch.allclose(orthogonal, scratch.ORTHOGONAL_RATE * others)
    assert len(set(others.tolist())) > len(seen) / 2, "it changes with every step"


class LeNet(Model):
    """LeNet-5 (LeCun et al. 1998), as another package would bring it."""

    kind = "lenet5"

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes=classes, size=size)
        layers = [
            nn.Conv2d(3, 6, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(4),
        ]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 84), nn.Tanh())
        self.classifier = nn.Linear(84, classes)

    def features(self, pixels):
        return self.body(pixels)

    def head(self, features):
        return self.classifier(features)


def test_a_registered_model_is_trained_by_its_name(job, make_bars):
    with MODELS.restored():
        MODELS.register("early_net", title="Early", from_scratch=True)(LeNet)
        (step,), notes = steps_for("early_net", "none")
        assert (step.name, step.network, step.rung, notes) == ("early_net", "early_net", RUNGS["scratch"], [])
        own = replace(job, train=make_bars(160, 32), val=make_bars(80, 32, seed=1), network=step.network)
        fitted = step.rung.fit(own)
        assert isinstance(fitted.model, LeNet)
        assert fitted.history
    with pytest.raises(UsageError, match="unknown model 'early_net'"):
        steps_for("early_net", "none")


def test_the_compact_network_can_be_asked_for_by_name(job):
    (step,), _ = steps_for("compact", "none")
    fitted = step.rung.fit(replace(job, network=step.network, options=replace(job.options, epochs=1)))
    assert isinstance(fitted.model, Compact)


def test_the_ladder_is_by_cost_whatever_the_order_of_registration():
    with RUNGS.restored():
        RUNGS.register("a_dear_one", cost="hours")(RUNGS["hog"])
        RUNGS.register("a_cheap_one", cost="seconds")(RUNGS["hog"])
        names = [step.name for step in steps_for("auto", "none")[0]]
    assert names == ["majority", "a_cheap_one", "hog", "a_dear_one", "scratch"]


def test_names_and_their_numbers_are_told_without_torch():
    code = """
import sys
from linnaea.errors import UsageError
from linnaea.learning.model_names import kind_of, require_models
from linnaea.options import Learning
require_models("auto")
require_models("hog,resnet18,compact,tv_resnext50_32x4d")
assert [kind_of(name) for name in ("frozen", "compact", "resnet18.a1_in1k")] == ["rung", "model", "network"]
try:
    require_models("hog,frozn")
except UsageError as error:
    assert "Did you mean 'frozen'" in str(error), error
else:
    raise AssertionError("frozn is nothing")
for given, said in (
    ({"loss": "focal:99"}, "expected gamma, a number from 0 to 10"),
    ({"loss": "cross_entropy:2"}, "takes no number"),
    ({"augment": ["flip", "rotation:x"]}, "expected degrees"),
    ({"balance": "vocal"}, "Did you mean 'focal'"),
):
    try:
        Learning(**given)
    except UsageError as error:
        assert said in str(error), error
    else:
        raise AssertionError(given)
Learning(loss="focal:3", augment=["rotation:30"], balance="class_weights")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_every_network_of_timm_is_known_by_its_files():
    import timm

    assert {name for name in timm.list_models() if kind_of(name) != "network"} == set()


def test_fine_tuning_takes_the_head_that_was_just_fitted(job, weights_file, monkeypatch):
    own = replace(job, weights=read_weights(weights_file), options=replace(job.options, epochs=1))
    frozen = RUNGS["frozen"].fit(own)
    before = {name: value.clone() for name, value in frozen.model.state_dict().items()}
    monkeypatch.setattr("linnaea.learning.rungs.frozen.fit_path", lambda *_, **__: pytest.fail("fitted again"))
    RUNGS["finetune"].fit(own)
    assert all(torch.equal(before[name], value) for name, value in frozen.model.state_dict().items())
    with pytest.raises(pytest.fail.Exception, match="fitted again"):
        RUNGS["finetune"].fit(replace(own, options=replace(own.options, balance="class_weights")))


def test_a_loss_without_a_model_that_learns_is_refused():
    with pytest.raises(UsageError, match="majority makes no loss small, and 'focal' was given"):
        require_use_of_loss("focal", [Step("majority", RUNGS["majority"])])
    require_use_of_loss("focal", [Step(name, RUNGS[name]) for name in ("majority", "hog")])
    require_use_of_loss(None, [Step("majority", RUNGS["majority"])])


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("resnt18", "none", "Did you mean 'resnet18'"),
        ("hogg", "none", "Did you mean 'hog'"),
        ("frozen", "none", "needs pretrained weights"),
        ("auto", "absent.safetensors", "does not exist"),
        ("majority,hog", "some.safetensors", "does not use pretrained weights"),
        ("hog,majority,hog", "none", "given twice"),
    ],
)
def test_what_cannot_be_had_is_an_error_that_helps(model, weights, message):
    with pytest.raises(UsageError, match=message):
        steps_for(model, weights)


def test_weights_of_another_network_are_refused(weights_file):
    with pytest.raises(UsageError, match="holds weights of test_efficientnet"):
        steps_for("resnet18", weights_file)


def test_weights_that_do_not_say_what_they_are_for_need_a_name(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth")
    with pytest.raises(UsageError, match="does not say which network its weights are for"):
        steps_for("auto", tmp_path / "old.pth")
    with pytest.raises(UsageError, match=r"do not fit test_efficientnet.*1 unknown \(a\).*Nothing was loaded"):
        steps_for(NAME, tmp_path / "old.pth")


def test_options_reach_the_training(job):
    fitted = RUNGS["scratch"].fit(replace(job, options=Options(epochs=2, batch_size=16, augmentations=())))
    assert len(fitted.history) == 2
    assert fitted.notes == ["Augmentations as requested: none."]


def with_norms(weights_file, tmp_path, change):
    """The file of weights with other statistics of batch normalisation: `change` maps a name and a tensor to one."""
    with safe_open(weights_file, "pt") as handle:
        facts, state = handle.metadata(), {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    path = tmp_path / "changed.safetensors"
    save_file({name: change(name, value) for name, value in state.items()}, path, metadata=facts)
    return path


def statistics(model):
    return {name: value.clone() for name, value in model.state_dict().items() if "running" in name}


def test_fine_tuning_keeps_the_statistics_of_pretraining(job, weights_file):
    weights = read_weights(weights_file)
    before = statistics(weights.build(2, job.size))
    fitted = RUNGS["finetune"].fit(replace(job, weights=weights))
    assert statistics(fitted.model).keys() == before.keys()
    assert all(torch.equal(before[name], value) for name, value in statistics(fitted.model).items())
    assert any("kept the statistics of pretraining" in note for note in fitted.notes) == (
        any(value.abs().sum() > 0 for name, value in before.items() if name.endswith("mean"))
    )


def test_folded_normalisation_is_told(job, weights_file, tmp_path):
    def folded(name, value):
        return (
            torch.zeros_like(value) if "running_mean" in name else torch.ones_like(value) if "_var" in name else value
        )

    def real(name, value):
        return value + 0.3 if "running" in name and value.is_floating_point() else value

    for change, words in ((folded, "is folded into the convolutions"), (real, "kept the statistics of pretraining")):
        path = with_norms(weights_file, tmp_path, change)
        options = replace(job.options, epochs=1)
        fitted = RUNGS["finetune"].fit(replace(job, weights=read_weights(path), options=options))
        assert any(words in note for note in fitted.notes)


def test_training_that_does_not_help_is_told_and_leaves_the_frozen_backbone(job, weights_file):
    options = replace(job.options, epochs=1, learning_rate=3.0, augmentations=())
    own = replace(job, weights=read_weights(weights_file), options=options)
    fitted = RUNGS["finetune"].fit(own)
    frozen = RUNGS["frozen"].fit(own)
    (warning,) = fitted.warnings
    assert "did not help" in warning
    assert all(torch.equal(value, frozen.model.state_dict()[name]) for name, value in fitted.model.state_dict().items())


def test_helpful_training_has_no_warning(job, make_bars, weights_file):
    own = replace(job, train=make_bars(320), options=replace(job.options, epochs=6, learning_rate=3e-3))
    weights = replace(read_weights(weights_file), size=own.size)  # so that images are not enlarged: they are easy then
    assert RUNGS["finetune"].fit(replace(own, weights=weights)).warnings == ()


def test_both_sides_of_a_picture_are_looked_at_only_where_that_helps(job):
    options = replace(job.options, augmentations=("flip",), epochs=4)
    fitted = RUNGS["scratch"].fit(replace(job, options=options))
    (note,) = [note for note in fitted.notes if "mirror image" in note]
    losses = {}
    for both in (True, False):
        fitted.model.look_at_both_sides(both)
        losses[both] = judged(fitted.model, job).calibrated
    assert note.startswith("Answers are the mean") == (losses[True] < losses[False])


@pytest.mark.parametrize("name", ["hog", "frozen"])
def test_when_time_is_short_a_rung_learns_from_fewer_images(name, job, make_bars, weights_file, monkeypatch):
    monkeypatch.setattr("linnaea.models.feature_cache.UNDER_A_DEADLINE", 64)
    weights = read_weights(weights_file) if name == "frozen" else None
    own = replace(job, train=make_bars(256), weights=weights, deadline=time.monotonic() + 0.001)
    fitted = RUNGS[name].fit(own)
    assert any("fitted on 64 of 256 training images" in note for note in fitted.notes)
    assert fitted.features is None


def test_without_time_for_a_step_training_from_scratch_says_so(job):
    with pytest.raises(LinnaeaError, match="no time for a single training step: set a longer --time-limit"):
        RUNGS["scratch"].fit(replace(job, deadline=time.monotonic() + 0.001))


def test_without_time_for_a_step_fine_tuning_leaves_the_frozen_backbone_and_says_so(job, weights_file):
    own = replace(job, weights=read_weights(weights_file), deadline=time.monotonic() + 0.001)
    fitted = RUNGS["finetune"].fit(own)
    (warning,) = fitted.warnings
    assert "no time for a single step of fine-tuning" in warning
    assert judged(fitted.model, job).score > 0.5


def test_a_training_leaves_time_for_what_comes_afterwards_but_not_too_much(job, weights_file):
    model = read_weights(weights_file).build(2, job.size).eval()
    deadline = time.monotonic() + 100
    for afterwards, least, most in ((0, 99.9, 100), (100, 80, 99.99), (10**7, 79, 80.1)):
        found = replace(job, deadline=deadline, afterwards=afterwards).deadline_to_train(model)
        assert least <= found - deadline + 100 <= most
