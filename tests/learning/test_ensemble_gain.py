"""What a deep ensemble is for: on few and noisy images its loss is below that of its members."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.learning.examples import Examples
from linnaea.learning.job import Fitted
from linnaea.learning.uncertainty import UNCERTAINTIES
from linnaea.models import build
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.models.model import to_pixels

MEMBERS, STEPS = 5, 100
WRONG = 0.15  # of the labels


def noisy(examples, seed):
    """The same under noise in the pixels, with some labels turned round."""
    random = np.random.default_rng(seed)
    images = np.clip(examples.images + random.normal(0, 60, examples.images.shape), 0, 255).astype(np.uint8)
    return Examples(images, np.where(random.random(len(images)) < WRONG, 1 - examples.targets, examples.targets))


def losses_of(model, val, images):
    """The losses (N,) on val and on others, and the parts of uncertainty (N, 3) of the others."""
    classifier = Classifier(scorer_of(model), ("lying", "upright"), "binary", Recipe(16, "pad"))
    found = []
    for part in (val, images):
        shares = classifier.score(part.images).probabilities
        found.append(-np.log(shares[np.arange(len(part)), part.targets]))
    return *found, classifier.score(images.images).uncertainty


def fit(job):
    """A small network trained to the end on all of its few images at once, from the seed of the job."""
    torch.manual_seed(job.options.seed)
    model = build("lenet5", {"classes": 2, "size": 16})
    pixels, targets = to_pixels(torch.from_numpy(job.train.images)), torch.from_numpy(job.train.targets)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixels), targets).backward()
        optimizer.step()
    return Fitted(model.eval())


@pytest.mark.slow
def test_an_ensemble_of_five_loses_less_than_its_members_and_five_copies_as_much_as_one(job, make_bars):
    train, val, test = [noisy(make_bars(count, seed=seed), seed) for seed, count in enumerate((100, 150, 400))]
    model = UNCERTAINTIES["deep_ensemble"].fit(fit, replace(job, train=train, val=val), MEMBERS).model
    members = [losses_of(member, val, test)[:2] for member in model.models]
    picked = min(members, key=lambda own: own[0].mean())[1]
    _, own, _ = losses_of(model, val, test)
    for less in (own - np.mean([on_test for _, on_test in members], axis=0), own - picked):
        assert less.mean() + 1.96 * less.std(ddof=1) / len(less) ** 0.5 < 0, "paired, over images"

    one = model.models[0]
    copies = Ensemble.of([copy.deepcopy(one) for _ in range(MEMBERS)], 2, 16, several=False, channels=3)
    _, same, uncertainty = losses_of(copies, val, test)
    np.testing.assert_allclose(same, losses_of(one, val, test)[1], atol=1e-4)
    assert uncertainty[:, 2].max() < 1e-5, "copies disagree about nothing"
