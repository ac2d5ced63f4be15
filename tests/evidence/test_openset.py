"""The familiarity score tells pictures of other things from those of the known classes."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from linnaea.evidence.openset import fit_familiarity


def known(count, length, seed):
    """Features around three class means in a space with few directions of variation."""
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(42)
    means, mixing = 3 * shared.normal(size=(3, length)), shared.normal(size=(5, length))
    targets = generator.integers(0, 3, count)
    noise = generator.normal(size=(count, 5)) @ mixing + 0.1 * generator.normal(size=(count, length))
    return (means[targets] + noise).astype(np.float32), targets


@pytest.mark.parametrize("count", [30, 1000])
@pytest.mark.parametrize("length", [8, 300])
def test_strangers_score_higher(count, length):
    features, targets = known(count, length, 0)
    familiarity = fit_familiarity(features, targets, 3)
    new, _ = known(200, length, 1)
    strange = np.random.default_rng(2).normal(size=(200, length)).astype(np.float32) * 3
    scores = familiarity(torch.from_numpy(np.concatenate([new, strange]))).numpy()
    assert np.isfinite(scores).all()
    assert roc_auc_score(np.repeat([0, 1], 200), scores) > 0.95


def test_a_class_without_training_pictures_does_no_harm():
    features, targets = known(100, 20, 0)
    familiarity = fit_familiarity(features, targets, 4)
    assert torch.isfinite(familiarity(torch.from_numpy(features))).all()


def test_constant_features_do_no_harm():
    familiarity = fit_familiarity(np.ones((10, 6), dtype=np.float32), np.arange(10) % 2, 2)
    assert torch.isfinite(familiarity(torch.ones(3, 6))).all()
