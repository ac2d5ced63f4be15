"""Objectives by name: each agrees with an independent implementation, trains, resumes, refuses what does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

import linnaea
from linnaea.errors import UsageError
from linnaea.learning.balance import Balance
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives import OBJECTIVES, Accompanied, Setting
from linnaea.learning.objectives.angular import angular
from linnaea.learning.objectives.choosing import notes_on, require_objective
from linnaea.learning.objectives.co_teaching import CoTeaching
from linnaea.learning.objectives.company import accompany
from linnaea.learning.objectives.contrastive import contrast
from linnaea.learning.objectives.distillation import softened
from linnaea.learning.objectives.hints import hinted
from linnaea.learning.objectives.teacher import fingerprint
from linnaea.learning.objectives.triplet import batch_hard
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs import RUNGS
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

SHORT = {"model": "scratch", "weights": "none", "epochs": 5, "batch_size": 8, "augment": [], "precision": "float32"}
TAUGHT = [name for name in OBJECTIVES if OBJECTIVES.about(name).capabilities.get("teacher")]
UNTAUGHT = [name for name in OBJECTIVES if name not in TAUGHT]


def draw(folder, names=("bright", "dark"), size=24):
    """Bright and dark squares, 30 of each."""
    generator = np.random.default_rng(0)
    for number in range(30):
        for name, low in zip(names, (130, 0, 60), strict=False):
            place = folder / name / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(low, low + 120, (size, size, 3), dtype=np.uint8)).save(place)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "shades")


@pytest.fixture(scope="module")
def teacher(photos, tmp_path_factory):
    """A finished run of another image size."""
    out = tmp_path_factory.mktemp("runs") / "teacher"
    linnaea.train(photos, **SHORT, img_size=32, out=out)
    return out


@pytest.fixture
def made():
    """Features (24, 6) of float64 and targets of 4 classes, one of a single image."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(24, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (24,), generator=generator)
    targets[7] = 3
    return features, targets


def unit(features):
    return (features / features.norm(dim=1, keepdim=True)).numpy()


def test_triplets_are_mined_as_a_plain_loop_does(made):
    features, targets = made
    rows, missed = unit(features), []
    for i, own in enumerate(targets):
        near = [np.linalg.norm(rows[i] - rows[j]) for j, other in enumerate(targets) if other != own]
        far = [np.linalg.norm(rows[i] - rows[j]) for j, other in enumerate(targets) if other == own and j != i]
        if near and far:
            missed.append(max(0.0, 0.3 + max(far) - min(near)))
    assert len(missed) == 23
    assert float(batch_hard(features, targets, 0.3)) == pytest.approx(np.mean(missed), rel=1e-5)
    assert float(batch_hard(features, torch.zeros(24), 0.3)) == 0


def test_contrast_is_that_of_a_plain_loop(made):
    features, targets = made
    rows, losses = unit(features), []
    for i, own in enumerate(targets):
        others = [j for j in range(len(rows)) if j != i]
        total = sum(np.exp(rows[i] @ rows[j] / 0.2) for j in others)
        positives = [j for j in others if targets[j] == own]
        if positives:
            losses.append(-np.mean([np.log(np.exp(rows[i] @ rows[j] / 0.2) / total) for j in positives]))
    assert float(contrast(features, targets, 0.2)) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(contrast(features, torch.arange(24), 0.2)) == 0


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.2])
def test_the_margin_is_added_to_the_angle(margin, made):
    features, targets = made
    cosines = unit(features) @ unit(torch.randn(4, 6, dtype=torch.float64)).T
    losses = []
    for row, own in zip(cosines, targets.tolist(), strict=True):
        logits, angle = row.copy(), np.arccos(row[own])
        within = angle + margin < np.pi
        logits[own] = np.cos(angle + margin) if within else row[own] - margin * np.sin(margin)
        shifted = np.exp(16 * logits)
        losses.append(-np.log(shifted[own] / shifted.sum()))
    found = angular(torch.from_numpy(cosines), targets, margin, scale=16)
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_distillation_is_the_divergence_at_a_temperature():
    logits, said = torch.randn(2, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def probabilities(scores):
        powers = np.exp(scores.numpy() / 3)
        return powers / powers.sum(axis=1, keepdims=True)

    own, wanted = probabilities(logits), probabilities(said)
    expected = 9 * (wanted * np.log(wanted / own)).sum(axis=1).mean()
    assert float(softened(logits, said, 3.0)) == pytest.approx(expected, rel=1e-5)
    assert float(softened(said, said + 5, 3.0)) == pytest.approx(0, abs=1e-9)


def test_hints_are_squared_differences_from_standardised_features():
    told, taught = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = 40 * taught.numpy() + 3
    wanted = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    expected = ((told.numpy() - wanted) ** 2).mean()
    assert float(hinted(told, 40 * taught + 3)) == pytest.approx(expected, rel=1e-5)


def setting(bars, **more):
    torch.manual_seed(0)
    model = Compact(2, 16, (8, 8, 8))
    balance = Balance(np.ones(2, dtype=np.int64))
    return Setting(model, criterion_for(TASKS["binary"]), balance, epochs=9, **more)


def test_each_network_learns_from_what_the_other_finds_easy(make_bars):
    bars = make_bars(20)
    objective = CoTeaching.made(setting(bars, amount=0.4))
    model, batch = objective.setting.model.train(), bars.batch(np.arange(20))
    shares = []
    for done in range(5):
        objective.epochs_done = done
        loss, figures = objective(model, batch)
        shares.append(float(figures["kept"]))
    assert shares == pytest.approx([1, 0.85, 0.75, 0.6, 0.6], abs=0.03), "1 - 0.4 min(done / 3, 1)"
    pixels, targets = batch[0].float() / 255, batch[1]
    first, second = (
        -network(pixels).log_softmax(dim=1)[torch.arange(20), targets].detach().numpy()
        for network in (model, objective.own)
    )
    expected = first[np.argsort(second)[:12]].mean() + second[np.argsort(first)[:12]].mean()
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert not torch.equal(objective.own.classifier.weight, model.classifier.weight)
    assert torch.equal(objective.own.stem.weight, model.stem.weight), "what is not trained is the same"
    pretrained = setting(bars, amount=0.4, pretrained=True)
    pretrained.model.eval()  # as what has just embedded images is
    of_pretrained = CoTeaching.made(pretrained)
    accompany(of_pretrained, Fabric(accelerator="cpu", devices=1))
    assert all(part.training for part in of_pretrained.own.modules())
    body = pretrained.model.body_weights()
    assert all(torch.equal(value, body[name]) for name, value in of_pretrained.own.body_weights().items())


@pytest.mark.parametrize("name", UNTAUGHT)
def test_it_is_trained_by_name(name, photos, tmp_path):
    classifier = linnaea.train(photos, **SHORT, objective=name, out=tmp_path / "run")
    assert right(classifier, photos) > 0.8
    assert f"It learnt by the objective {name}." in classifier.provenance["notes"]
    again = linnaea.load(tmp_path / "run")
    assert set(again.scorer.tensors()) == set(Compact(2, 24, biased=False).state_dict()), "an ordinary classifier"


def right(classifier, photos):
    shown = [photos / kind / f"{number:02}.png" for kind in ("bright", "dark") for number in range(30)]
    return (classifier.predict_proba(shown).argmax(axis=1) == np.repeat([0, 1], 30)).mean()


@pytest.mark.parametrize("name", TAUGHT)
def test_it_is_taught_by_a_run(name, photos, teacher, tmp_path):
    out = tmp_path / "run"
    classifier = linnaea.train(photos, **SHORT, objective=name, teacher=teacher, out=out)
    assert right(classifier, photos) > 0.8
    record = json.loads((out / "run.json").read_text())
    assert record["arguments"]["teacher"] == str(teacher)
    assert record["way"]["teacher"] == fingerprint(teacher), "a run is not resumed with another one"


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("name", [*UNTAUGHT, "feature_distillation"])
def test_it_resumes_bit_for_bit_with_what_it_has_of_its_own(name, job, teacher, tmp_path):
    recipe = TrainingRecipe(objective=name, teacher=teacher if name in TAUGHT else None, accumulate=2)
    job = replace(job, options=replace(job.options, recipe=recipe), names=("bright", "dark"))

    def learn(folder, stop=None):
        def tell(row):
            if row["epoch"] == stop:
                raise StoppedError

        torch.manual_seed(0)
        model = Compact(2, 16, (8, 8, 8))
        optimizer = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=0.01)
        own = replace(job, checkpoints=folder, on_epoch=tell)
        trained = train_network(own, model, optimizer, Schedule(4, 16, 0.01), Plan("cpu"), augmentations=("shift",))
        return model, optimizer, trained

    whole, optimizer, expected = learn(tmp_path / "whole")
    with pytest.raises(StoppedError):
        learn(tmp_path / "broken", stop=3)
    resumed, _, found = learn(tmp_path / "broken")
    assert [row["train_loss"] for row in found.history] == [row["train_loss"] for row in expected.history]
    assert all(torch.equal(value, resumed.state_dict()[place]) for place, value in whole.state_dict().items())
    assert (len(optimizer.param_groups) > 1) == (name not in ("supervised", "triplet"))


@pytest.mark.parametrize("objective", ["supervised_contrastive", "triplet"])
def test_views_that_are_cut_from_small_pixels_are_spoken_of(objective):
    notes = notes_on(TrainingRecipe(objective=objective), ["flip", "zoom"])
    assert any("cut by zoom from the pixels" in note for note in notes) == (objective == "supervised_contrastive")


def test_a_rate_is_found_with_what_an_objective_has_of_its_own(job, tmp_path):
    recipe = TrainingRecipe(objective="arcface:0.2", find_lr=True, optimizer="adamw")
    options = replace(job.options, recipe=recipe, augmentations=(), epochs=1)
    fitted = RUNGS["scratch"].fit(replace(job, options=options, checkpoints=tmp_path))
    assert any("range test" in note for note in fitted.notes)


def test_only_what_has_something_of_its_own_says_so(make_bars):
    own = {name for name in UNTAUGHT if isinstance(made_by(name, make_bars), Accompanied)}
    assert own == {"supervised_contrastive", "arcface", "co_teaching"}


def made_by(name, make_bars):
    return OBJECTIVES[name].made(setting(make_bars(4), amount=0.2))


CLASSES = ("bright", "dark")


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        ({"objective": "triplets"}, {}, "Did you mean 'triplet'"),
        ({"objective": "triplet:3"}, {}, "a number from 0 to 2, such as triplet:0.3"),
        ({"objective": "supervised:1"}, {}, "takes no number"),
        ({"objective": "distillation"}, {}, "needs a teacher.*--teacher"),
        ({"teacher": "runs/none"}, {}, "'supervised' has no use for it.*--objective distillation"),
        ({"objective": "arcface", "teacher": "runs/none"}, {}, "no use for it"),
        ({"objective": "distillation", "teacher": "runs/none"}, {}, "expected the folder of a finished run"),
        ({"objective": "triplet"}, {"balance": "class_weights"}, "no use for: use oversample"),
        ({"objective": "co_teaching"}, {"augmentations": ("mixup",)}, "labels are mixed, and mixup"),
        ({"objective": "arcface"}, {"task": "multilabel"}, "needs one label per image.*use supervised"),
    ],
)
def test_what_does_not_fit_is_refused(recipe, more, message):
    with pytest.raises(UsageError, match=message):
        require_objective(TrainingRecipe(**recipe), **{"task": "binary", "classes": CLASSES, **more})


def test_a_teacher_of_other_classes_is_refused_with_the_difference(teacher, tmp_path):
    data = draw(tmp_path / "data", ("bright", "grey"))
    with pytest.raises(UsageError, match="it does not know grey and it also knows dark"):
        linnaea.train(data, **SHORT, objective="distillation", teacher=teacher, out=tmp_path / "run")
    draw(data, ("bright", "grey", "dark"))
    with pytest.raises(UsageError, match="is for binary data, but these are multiclass"):
        linnaea.train(data, **SHORT, objective="distillation", teacher=teacher, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_channels_is_refused(photos, teacher, tmp_path):
    with pytest.raises(UsageError, match="sees images of 3 channels, but these have 1: give the same --channels"):
        linnaea.train(photos, **SHORT, channels=1, objective="distillation", teacher=teacher, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", ["hog", "frozen", "hog+svm"])
def test_what_trains_no_network_refuses_an_objective(model, photos, tmp_path):
    weights = {} if model != "frozen" else {"weights": "none"}
    with pytest.raises(UsageError, match=r"--objective was given|needs pretrained weights"):
        linnaea.train(photos, model=model, objective="triplet", out=tmp_path / "run", **weights)
    assert not (tmp_path / "run").exists()
