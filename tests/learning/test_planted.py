"""Planted truths: what costs more helps where it should, and does no harm where there is nothing to mend."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.learning.balance import Balance
from linnaea.learning.examples import Examples
from linnaea.learning.heads import fit_path
from linnaea.learning.job import Job, Options
from linnaea.learning.losses import criterion_for
from linnaea.learning.objectives.choosing import objective_for
from linnaea.learning.objectives.company import company_of, join
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import loop_for
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

RATE, EPOCHS = 0.02, 10
CRITERION = criterion_for(TASKS["binary"])
NAMES = ("red above", "blue above", "red below", "blue below")


def points(count, seed, rare=0.5, apart=1.5):
    """Features (N, 10) of two classes on either side of 0 in the first one, the share `rare` of the second."""
    generator = np.random.default_rng(seed)
    targets = (generator.random(count) < rare).astype(np.int64)
    features = generator.normal(size=(count, 10)).astype(np.float32)
    features[:, 0] += np.where(targets == 1, apart, -apart)
    return features, targets


def recalls(head, features, targets):
    """The mean recall of both classes."""
    answers = head.logits(features).argmax(axis=1)
    return np.mean([(answers[targets == number] == number).mean() for number in (0, 1)])


def with_loss(name, mistaken, seed):
    """The mean recall after a share of the first class, those far from the second, was labelled as the second."""
    features, targets = points(300, seed)
    chosen = np.random.default_rng(seed + 1000).random(300) < mistaken
    labels = np.where((targets == 0) & (features[:, 0] < -1.5) & chosen, 1, targets)
    losses = criterion_for(TASKS["binary"], name).losses
    (head,) = fit_path(features, labels, 2, loss=losses, strengths=(1.0,))
    return recalls(head, *points(3000, seed + 5000))


def test_generalised_cross_entropy_withstands_wrong_labels():
    gained = {
        share: np.array(
            [with_loss("generalized_cross_entropy", share, seed) - with_loss(None, share, seed) for seed in range(12)]
        )
        for share in (0.5, 0.0)
    }
    assert gained[0.5].mean() > 0.05
    assert (gained[0.5] > 0).mean() > 0.9
    assert gained[0.0].mean() > -0.01, "clean labels"


def balanced(name, rare, seed):
    features, targets = points(420, seed, rare, apart=1.0)
    balance = Balance.of(name, targets, 2)
    features, targets, weights = balance.for_head(features, targets, seed)
    loss = balance.head_loss(CRITERION.losses)
    (head,) = fit_path(features, targets, 2, loss=loss, weights=weights, strengths=(1.0,))
    return recalls(head, *points(4000, seed + 5000, apart=1.0))


@pytest.mark.parametrize("name", ["logit_adjustment", "class_balanced"])
def test_rare_classes_are_found_where_they_are_rare(name):
    gained = {
        rare: np.array([balanced(name, rare, seed) - balanced(None, rare, seed) for seed in range(8)])
        for rare in (0.05, 0.5)
    }
    assert gained[0.05].min() > 0.1
    assert abs(gained[0.5]).max() < 0.01, "equally common classes"


def patches(count, seed):
    """Images (N, 16, 16, 3) of noise, the upper or lower half brighter in red or in blue: four classes."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 4, count)
    images = generator.integers(0, 150, (count, 16, 16, 3)).astype(np.uint8)
    for image, target in zip(images, targets, strict=True):
        image[8 * (target // 2) : 8 * (target // 2) + 8, :, 2 * (target % 2)] += np.uint8(100)
    return Examples(images, targets.astype(np.int64))


def mislabelled(examples, share, seed):
    """The share of labels moved to another class, each as likely."""
    generator, targets = np.random.default_rng(seed), examples.targets.copy()
    wrong = generator.random(len(targets)) < share
    targets[wrong] = (targets[wrong] + generator.integers(1, 4, wrong.sum())) % 4
    return replace(examples, targets=targets)


def learn(train, seed, rate=RATE, **recipe):
    """A network after its last epoch, whatever it is worth on val."""
    torch.manual_seed(seed)
    model = Compact(4, 16, (16, 16, 16))
    model.whiten(torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255)
    options = Options(recipe=TrainingRecipe(**recipe), seed=seed)
    job = Job(train, train, 4, TASKS["multiclass"], options, names=NAMES)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True)
    objective, _ = objective_for(job, model, augmentations=(), label_smoothing=0.0, epochs=EPOCHS)
    join(optimizer, objective, None, rate, torch.contiguous_format)
    schedule, hooks = Schedule(EPOCHS, 50, rate), company_of(objective)
    loop_for(job, objective, schedule, Plan("cpu"), hooks=hooks).run(model, optimizer)
    return model.eval()


@torch.no_grad()
def answers(model, examples):
    return model(torch.from_numpy(examples.images).permute(0, 3, 1, 2).float() / 255).argmax(dim=1).numpy()


def accuracy(model, examples):
    return (answers(model, examples) == examples.targets).mean()


@pytest.mark.slow
def test_co_teaching_withstands_wrong_labels():
    unseen = patches(600, 99)
    gained = {}
    for share, seeds in ((0.4, 3), (0.0, 1)):
        trained = [mislabelled(patches(600, seed), share, seed) for seed in range(seeds)]
        expected = f"co_teaching:{share or 0.05}"
        gained[share] = [
            accuracy(learn(train, seed, objective=expected), unseen) - accuracy(learn(train, seed), unseen)
            for seed, train in enumerate(trained)
        ]
    assert np.mean(gained[0.4]) > 0.03
    assert sum(value > 0 for value in gained[0.4]) >= 2
    assert np.mean(gained[0.0]) > -0.02, "clean labels"


@pytest.mark.slow
def test_a_student_agrees_with_its_teacher(tmp_path):
    """Also where the teacher is mistaken: one of them was told that what is blue below is red above."""
    unseen, train, told = patches(600, 99), patches(400, 5), patches(600, 3)
    plain = learn(train, 7, rate=0.2)
    for name, targets in (("mistaken", np.where(told.targets == 3, 0, told.targets)), ("good", told.targets)):
        model = learn(replace(told, targets=targets), 3, rate=0.2)
        Classifier(scorer_of(model), NAMES, "multiclass", Recipe(16)).save(tmp_path / name)
        taught = learn(train, 7, rate=0.2, objective="distillation", teacher=tmp_path / name)
        if name == "mistaken":
            said = answers(model, unseen)
            assert (answers(taught, unseen) == said).mean() > (answers(plain, unseen) == said).mean() + 0.1
        else:
            assert accuracy(taught, unseen) > accuracy(plain, unseen) - 0.02
