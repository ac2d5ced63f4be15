"""Recipes of training and transfer, by the rungs and by `linnaea.train`: each option does what it says."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import linnaea
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.errors import LinnaeaError, UsageError
from linnaea.learning.batches import Epoch
from linnaea.learning.batches.choosing import batches_for
from linnaea.learning.batches.crops import Crops, Photos
from linnaea.learning.examples import Examples
from linnaea.learning.hooks import Hook
from linnaea.learning.loop import Loop
from linnaea.learning.muon import Muon
from linnaea.learning.optimizers import OPTIMIZERS
from linnaea.learning.optimizers.groups import layers_of
from linnaea.learning.rate_range import Noted, RateRange
from linnaea.learning.rungs import RUNGS, TrainingRecipe, finetune, scratch
from linnaea.learning.schedule import Schedule
from linnaea.models.bodies import create_body
from linnaea.models.weights import read_weights

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    """Random weights of timm's smallest network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    facts = {"architecture": NAME, "input_size": "32", "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5"}
    save_file(create_body(NAME, 32, {}).state_dict(), path, metadata=facts)
    return path


@pytest.fixture
def pretrained(job, make_bars, weights_file):
    job = replace(job, train=make_bars(96, 32), val=make_bars(64, 32, seed=1), weights=read_weights(weights_file))
    return replace(job, options=replace(job.options, augmentations=()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Bright and dark squares, 30 of each."""
    folder, generator = tmp_path_factory.mktemp("data") / "shades", np.random.default_rng(0)
    for number in range(30):
        for name, low in (("bright", 130), ("dark", 0)):
            place = folder / name / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(low, low + 120, (24, 24, 3), dtype=np.uint8)).save(place)
    return folder


def with_recipe(job, **recipe):
    return replace(job, options=replace(job.options, recipe=TrainingRecipe(**recipe)))


def fit(job, rung="scratch"):
    return RUNGS[rung].fit(job)


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


class Taken(Exception):  # noqa: N818  it is no error
    """What train_network was given."""


@pytest.fixture
def given(monkeypatch):
    """What a rung hands to train_network: its arguments by name."""

    def catch(job, model, optimizer, schedule, plan, **more):
        raise Taken({"model": model, "optimizer": optimizer, "schedule": schedule, "plan": plan, **more})

    def ask(job, rung):
        with monkeypatch.context() as patched:
            patched.setattr({"scratch": scratch, "finetune": finetune}[rung], "train_network", catch)
            with pytest.raises(Taken) as caught:
                fit(job, rung)
        return caught.value.args[0]

    return ask


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@pytest.mark.parametrize("rung", ["scratch", "finetune"])
def test_every_optimizer_learns_at_its_usual_rate(name, rung, pretrained):
    clip_norm = 1.0 if name == "sgd" else None  # random weights have steep gradients
    fitted = fit(with_recipe(pretrained, optimizer=name, clip_norm=clip_norm), rung)
    rows = fitted.history
    assert min(row["val_loss_calibrated"] for row in rows) < 0.68
    assert all(row["train_loss"] == row["train_loss"] for row in rows)


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "schedule_free"},
        {"optimizer": "lamb", "schedule": "plateau:0.5", "ema": 0.9},
        {"optimizer": "muon", "schedule": "cosine", "clip_norm": 0.5, "accumulate": 2, "ema": 0.9},
        {
            "optimizer": "sgd",
            "schedule": "step",
            "clip_norm": 1.0,
            "layer_decay": 0.75,
            "unfreeze": "gradual",
            "drop_path": 0.2,
        },
    ],
    ids=lambda recipe: recipe["optimizer"],
)
def test_a_training_that_was_broken_off_ends_with_the_same_weights(recipe, pretrained, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(row):
        if row["epoch"] == 3:
            raise StoppedError

    job = with_recipe(replace(pretrained, options=replace(pretrained.options, epochs=5, batch_size=16)), **recipe)
    whole = fit(job, "finetune")
    with pytest.raises(StoppedError):
        fit(replace(job, checkpoints=tmp_path, on_epoch=stop), "finetune")
    again = fit(replace(job, checkpoints=tmp_path), "finetune")
    assert same(weights_of(whole.model), weights_of(again.model))
    assert [row["train_loss"] for row in whole.history] == [row["train_loss"] for row in again.history]
    assert len(again.history) == 5


def test_nothing_asked_for_leaves_optimizer_and_schedule_as_they_were(given, pretrained):
    ours = given(pretrained, "scratch")
    assert type(ours["optimizer"]) is Muon
    assert sorted(group["orthogonal"] for group in ours["optimizer"].param_groups) == [False, False, True]
    assert ours["schedule"].name == "one_cycle"
    assert ours["label_smoothing"] == 0.2
    theirs = given(pretrained, "finetune")
    assert type(theirs["optimizer"]) is torch.optim.AdamW
    (group,) = theirs["optimizer"].param_groups
    assert (group["lr"], group["weight_decay"]) == (2e-4, 0.02)
    assert theirs["schedule"].patience == 4
    assert theirs["hooks"] == []


def test_what_is_asked_for_is_handed_on(given, pretrained):
    recipe = {"optimizer": "sgd:0.01", "schedule": "cosine", "warmup": 0.2, "patience": 7, "accumulate": 4}
    found = given(with_recipe(pretrained, **recipe), "finetune")
    schedule, optimizer = found["schedule"], found["optimizer"]
    assert (schedule.name, schedule.warm_up, schedule.patience) == ("cosine", 0.2, 7)
    assert schedule.learning_rate == pytest.approx(0.001 * 4), "linear in the images per step, 4 times 32"
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.01}
    asked = replace(pretrained, options=replace(pretrained.options, learning_rate=0.3))
    assert given(with_recipe(asked, **recipe), "finetune")["schedule"].learning_rate == 0.3


def test_layers_before_learn_more_slowly(given, pretrained):
    found = given(with_recipe(pretrained, layer_decay=0.5), "finetune")
    scales = {
        id(parameter): group["rate_scale"] for group in found["optimizer"].param_groups for parameter in group["params"]
    }
    model, layers = found["model"], layers_of(found["model"], coarse=False)
    last = max(layers.values())
    assert last > 3
    for name, layer in layers.items():
        assert scales[id(model.get_parameter(name))] == 0.5 ** (last - layer)


class Given(Hook):
    """Notes how far each step went."""

    def __init__(self):
        self.steps, self.before = [], None

    def begin(self, state):
        self.before = weights_of(state.model)

    def after_step(self, state):
        after = weights_of(state.model)
        self.steps.append(torch.sqrt(sum((after[name] - self.before[name]).square().sum() for name in after)).item())
        self.before = after


class Fixed:
    """The same numbers in every epoch, in batches of this size."""

    def __init__(self, size):
        self.size = size

    def epoch(self, seed, rank=0, ranks=1):
        numbers = torch.randn(24, 2, generator=torch.Generator().manual_seed(1))
        return Epoch(24 // self.size, iter(numbers.split(self.size)))


def distance(model, batch):
    return (model(batch) - batch.square()).square().mean(), {"first": batch[0, 0]}


def learned(size, **more):
    torch.manual_seed(0)
    model, hook = nn.Linear(2, 2), Given()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = Schedule(3, size, 0.1)
    fabric = Fabric(accelerator="cpu", devices=1)
    history = Loop(fabric, Fixed(size), distance, schedule, [hook], **more).run(model, optimizer)
    return weights_of(model), hook.steps, history


def test_batches_whose_gradients_are_accumulated_are_one_larger_batch():
    whole, steps, history = learned(8)
    parts, smaller, told = learned(4, accumulate=2)
    assert len(smaller) == len(steps) == 9
    for name in whole:
        assert parts[name].numpy() == pytest.approx(whole[name].numpy(), abs=1e-6)
    assert [row["train_loss"] for row in told] == pytest.approx([row["train_loss"] for row in history])
    assert not same(learned(4)[0], parts)


def test_the_last_step_takes_the_batches_that_are_left():
    _, steps, _ = learned(4, accumulate=4)
    assert len(steps) == 3 * 2


def test_a_gradient_that_is_too_long_is_shortened():
    _, free, _ = learned(8)
    _, steps, _ = learned(8, clip_norm=0.01)
    assert max(free) > 0.1 * 0.01 * 10
    assert max(steps) <= 0.1 * 0.01 / (1 - 0.9) * 1.001


def test_averaged_weights_are_what_remains(pretrained, monkeypatch):
    """The kept weights are those of an average made by hand."""
    averages, plain = [], Muon.step

    def trained(optimizer):
        return [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def step(self, *given):
        if not averages:
            averages.append([parameter.detach().clone() for parameter in trained(self)])
        result = plain(self, *given)
        share = 1 - min(0.8, (1 + len(averages)) / (10 + len(averages)))
        pairs = zip(averages[-1], trained(self), strict=True)
        averages.append([old + share * (new.detach() - old) for old, new in pairs])
        optimizers.append(self)
        return result

    optimizers = []
    monkeypatch.setattr(Muon, "step", step)
    fitted = fit(with_recipe(pretrained, ema=0.8))
    assert not fitted.warnings, "an epoch was better than none"
    found = trained(optimizers[-1])
    assert any(
        all(torch.allclose(ours, theirs, atol=1e-5) for ours, theirs in zip(found, one, strict=True))
        for one in averages[1:]
    )


def changed(before, after, layers):
    """The stages of which a weight changed."""
    return {layers[name] for name in layers if not torch.equal(before[name], after[name])}


def test_only_the_last_stages_learn_and_statistics_stay(pretrained):
    fitted = fit(with_recipe(pretrained, unfreeze="last:2", optimizer="sgd", clip_norm=1.0), "finetune")
    assert fitted.history
    before, after = weights_of(fit(pretrained, "frozen").model), weights_of(fitted.model)
    layers = layers_of(fitted.model, coarse=True)
    last = max(layers.values())
    assert last >= 3
    assert changed(before, after, layers) == {last - 1, last}
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert all(parameter.requires_grad for parameter in fitted.model.parameters())


def test_stages_join_one_after_another(pretrained):
    seen = []

    def look(row):
        seen.append(weights_of(models[0]))

    models, plain = [], finetune.train_network

    def train(job, model, *more, **options):
        models.append(model)
        seen.append(weights_of(model))
        return plain(job, model, *more, **options)

    job = replace(pretrained, options=replace(pretrained.options, epochs=8, learning_rate=0.01), on_epoch=look)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finetune, "train_network", train)
        fit(with_recipe(job, unfreeze="gradual", patience=100), "finetune")
    layers = layers_of(models[0], coarse=True)
    last = max(layers.values())
    learning = [changed(before, after, layers) for before, after in itertools.pairwise(seen)]
    assert learning[0] == {last}
    assert learning[-1] == set(layers.values())
    assert [len(stages) for stages in learning] == sorted(len(stages) for stages in learning)
    assert len({len(stages) for stages in learning}) > 2


def test_the_range_test_finds_where_the_loss_was_lowest():
    losses = [2.0] * 30 + [2.0 - 0.05 * step for step in range(30)] + [0.5] * 20 + [3.0 * step for step in range(1, 9)]
    found = RateRange([10.0 ** (-6 + step / 20) for step in range(len(losses))], losses)
    assert 10 ** (-6 + 70 / 20) <= found.highest <= 10 ** (-6 + 81 / 20)
    assert found.suggested == found.highest / 10


def test_the_rate_that_was_found_is_trained_with(pretrained, tmp_path):
    job = with_recipe(replace(pretrained, checkpoints=tmp_path), find_lr=True)
    fitted = fit(job, "finetune")
    kept = RateRange(**json.loads((tmp_path / "rate_range.json").read_text()))
    assert kept.rates == sorted(kept.rates)
    assert kept.rates[0] < 2e-4 / 1000, "from a ten-thousandth of the usual rate"
    assert kept.rates[-1] > 10 * 2e-4
    assert any(f"suggests a learning rate of {kept.suggested:.2g}" in note for note in fitted.notes)
    schedule = Schedule(3, 32, kept.suggested)
    assert fitted.history[0]["learning_rate"] == pytest.approx(schedule.rate(1 / 3))
    with Image.open(tmp_path / "rate_range.png") as picture:
        assert len(set(picture.convert("L").tobytes())) > 10


def test_groups_that_learn_faster_do_not_change_the_rate_that_is_found(job, tmp_path):
    job = replace(job, options=replace(job.options, epochs=1, augmentations=()), checkpoints=tmp_path)
    fit(with_recipe(job, find_lr=True))  # the biases of its norms learn 32 times faster
    rates = json.loads((tmp_path / "rate_range.json").read_text())["rates"]
    assert rates[0] < 2e-4 * scratch.LEARNING_RATE


def test_a_rate_is_found_with_the_stages_that_will_learn(pretrained, tmp_path, monkeypatch):
    learning = []

    def after_step(self, state, plain=Noted.after_step):
        learning.append({name for name, parameter in state.model.named_parameters() if parameter.requires_grad})
        plain(self, state)

    monkeypatch.setattr(Noted, "after_step", after_step)
    job = replace(pretrained, options=replace(pretrained.options, epochs=1), checkpoints=tmp_path)
    fit(with_recipe(job, find_lr=True, unfreeze="last:1"), "finetune")
    assert "classifier.weight" in learning[0]
    assert not any(name.startswith("body.conv_stem") for names in learning for name in names)


def test_a_rate_that_was_given_stays(pretrained, tmp_path):
    job = replace(pretrained, options=replace(pretrained.options, learning_rate=1e-3), checkpoints=tmp_path)
    fitted = fit(with_recipe(job, find_lr=True), "finetune")
    assert fitted.history[0]["learning_rate"] == pytest.approx(Schedule(3, 32, 1e-3).rate(1 / 3))
    assert any("0.001, as requested" in note for note in fitted.notes)


def test_the_network_drops_what_was_asked_for(pretrained):
    fitted = fit(with_recipe(pretrained, dropout=0.3, drop_path=0.2), "finetune")
    assert fitted.model.body.drop_rate == 0.3
    assert fitted.model.arguments["arguments_of_body"] == {"drop_rate": 0.3, "drop_path_rate": 0.2}
    named = replace(pretrained, network="test_resnet", weights=None)
    assert fit(with_recipe(named, dropout=0.25)).model.body.drop_rate == 0.25


@pytest.mark.parametrize(
    ("network", "recipe", "told"),
    [
        (None, {"dropout": 0.3}, "compact has no use for --dropout"),
        ("vgg11", {"drop_path": 0.3}, "vgg11 has no use for --drop-path"),
    ],
)
def test_a_network_that_drops_nothing_says_so(network, recipe, told, job):
    with pytest.raises(UsageError, match=told):
        fit(with_recipe(replace(job, network=network), **recipe))


@pytest.mark.parametrize("recipe", [{"ema": 0.9}, {"schedule": "cosine"}, {"unfreeze": "gradual"}])
def test_what_contradicts_an_optimizer_is_refused(recipe):
    with pytest.raises(UsageError, match="schedule_free"):
        TrainingRecipe(optimizer="schedule_free", **recipe)


def test_train_takes_them_all_and_resumes(photos, weights_file, tmp_path):
    options = {
        "model": "finetune",
        "weights": weights_file,
        "img_size": 32,
        "epochs": 2,
        "precision": "float32",
        "optimizer": "adamw:0.05",
        "schedule": "cosine",
        "warmup": 0.1,
        "clip_norm": 1.0,
        "accumulate": 2,
        "ema": 0.95,
        "label_smoothing": 0.1,
        "patience": 3,
        "unfreeze": "last:3",
        "layer_decay": 0.8,
        "dropout": 0.1,
        "drop_path": 0.1,
        "find_lr": True,
    }
    linnaea.train(photos, out=tmp_path / "run", **options)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["arguments"]["optimizer"] == "adamw:0.05"
    assert (tmp_path / "run/checkpoints/finetune/rate_range.png").exists()
    bundle = load_file(tmp_path / "run/model/weights.safetensors")
    assert all(torch.isfinite(value).all() for value in bundle.values() if value.is_floating_point())
    with pytest.raises(LinnaeaError, match=r"ema was 0\.95 and is now 0\.9"):
        linnaea.train(photos, out=tmp_path / "run", **options | {"ema": 0.9}, resume=True)


def test_a_loss_that_is_no_number_names_the_images(photos, tmp_path):
    with pytest.raises(LinnaeaError, match=r"batch \d+: expected a number") as caught:
        linnaea.train(
            photos,
            out=tmp_path / "run",
            model="scratch",
            weights="none",
            epochs=3,
            learning_rate=1e30,
            optimizer="sgd",
            precision="float32",
        )
    assert any(f"{name}/{number:02}.png" in str(caught.value) for name in ("bright", "dark") for number in range(30))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "scratch", "unfreeze": "last:2"}, "--unfreeze was given, and scratch has no use for it"),
        ({"model": "hog", "optimizer": "sgd"}, "--optimizer was given, and hog has no use for it"),
        ({"model": "hog", "epochs": 3}, "--epochs was given, and hog has no use for it.*finetune"),
        ({"model": "majority,hog+svm", "learning_rate": 0.1}, r"--lr was given, and majority, hog\+svm has no use"),
        ({"model": "hog", "batch_size": "auto"}, "--batch-size was given, and hog has no use"),
        ({"model": "hog", "augment": ["flip"]}, "--augment was given, and hog has no use"),
        ({"model": "resnet10t", "layer_decay": 0.75}, "resnet10t has no pretrained weights here.*--weights auto"),
        ({"unfreeze": "last:2"}, "scratch has no pretrained weights here"),
        ({"model": "lenet5", "lora": 2}, "--lora was given, and lenet5 has no use for it"),
        ({"optimizer": "adamv"}, "adamw"),
        ({"schedule": "step:5"}, "0.001 to 1"),
        ({"warmup": 2}, "warmup is 2; expected a number from 0 to 0.9"),
        ({"unfreeze": "last:0"}, "1 to 1000"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(options, told, photos, tmp_path):
    with pytest.raises(UsageError, match=told):
        linnaea.train(photos, out=tmp_path / "run", weights="none", **options)
    assert not (tmp_path / "run").exists()


def large_photos(folder, side):
    """Bright and dark photos, finely structured, 30 of each."""
    generator = np.random.default_rng(0)
    for number in range(30):
        for name, low in (("bright", 130), ("dark", 0)):
            place = folder / name / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(low, low + 120, (side, side + 4, 3), dtype=np.uint8)).save(place)
    return folder


@pytest.mark.parametrize(("side", "augment", "cut"), [(80, "zoom:0.25", 64), (40, "zoom:0.25", 40), (32, "zoom", None)])
def test_parts_are_cut_from_the_photos_where_these_are_larger(tmp_path, weights_file, side, augment, cut):
    photos = large_photos(tmp_path / "photos", side)
    run = tmp_path / "run"
    options = {"model": "finetune", "weights": weights_file, "epochs": 1, "precision": "float32"}
    linnaea.train(photos, out=run, augment=[augment, "flip"], **options)
    note = (run / "run.json").read_text()
    told = "Parts of images were cut from the photos at"
    assert (f"{told} {cut} pixels" in note) if cut else (told not in note)


def test_a_photo_that_is_cut_keeps_its_label_and_place(tmp_path, job):
    photos = large_photos(tmp_path / "photos", 80)
    dataset = linnaea.read(photos)
    recipe = Recipe(32)
    decoded = decode_files(dataset.paths, recipe).images
    options = replace(job.options, batch_size=8)
    whole = replace(
        job, train=Examples(decoded, dataset.targets), photos=Photos(dataset.paths, recipe), options=options
    )
    source = batches_for(whole, 8, ("zoom:0.25",), torch.channels_last)
    assert isinstance(source, Crops)
    bright = dataset.classes.index("bright")
    for images, targets in source.epoch(0).batches:
        assert images.shape[1:] == (3, 32, 32)
        assert ((images.float().mean(dim=(1, 2, 3)) > 125) == (targets == bright)).all()
    plain = batches_for(whole, 8, ("flip",), torch.channels_last)
    assert not plain.notes
