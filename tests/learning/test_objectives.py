"""Objectives by name: each agrees with an independent implementation, trains, resumes, refuses what does not fit."""

import numpy as np
import pytest
import torch
from PIL import Image

import linnaea
from linnaea.learning.objectives.triplet import batch_hard

SHORT = {"model": "scratch", "weights": "none", "epochs": 2, "augment": [], "precision": "float32"}


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


@pytest.fixture
def made():
    """Features (24, 6) and targets of 4 classes, one of a single image."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(24, 6, generator=generator)
    targets = torch.randint(3, (24,), generator=generator)
    targets[7] = 3
    return features, targets


def test_triplets_are_mined_as_a_plain_loop_does(made):
    features, targets = made
    unit = (features / features.norm(dim=1, keepdim=True)).double().numpy()
    missed = []
    for i, own in enumerate(targets):
        near = [np.linalg.norm(unit[i] - unit[j]) for j, other in enumerate(targets) if other != own]
        far = [np.linalg.norm(unit[i] - unit[j]) for j, other in enumerate(targets) if other == own and j != i]
        if near and far:
            missed.append(max(0.0, 0.3 + max(far) - min(near)))
    assert len(missed) == 23
    assert float(batch_hard(features, targets, 0.3)) == pytest.approx(np.mean(missed), rel=1e-5)
    assert float(batch_hard(features, torch.zeros(24), 0.3)) == 0


@pytest.mark.parametrize("name", ["triplet"])
def test_it_is_trained_by_name(name, photos, tmp_path):
    classifier = linnaea.train(photos, **SHORT, objective=name, out=tmp_path / "run")
    shown = [photos / kind / f"{number:02}.png" for kind in ("bright", "dark") for number in range(30)]
    answers = classifier.predict_proba(shown).argmax(axis=1)
    assert (answers == np.repeat([0, 1], 30)).mean() > 0.8
