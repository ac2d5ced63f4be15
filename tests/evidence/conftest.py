"""Predictions made up for the tests of evidence."""

import numpy as np
import pytest
from scipy.special import softmax

from linnaea.predictions import Predictions


def predictions_from(logits, targets, *, unreadable=(), ids=None, **more):
    """Predictions whose probabilities are the softmax of `logits` (N, K), with these truths (N,)."""
    n, count = logits.shape
    classes = tuple(f"class {number}" for number in range(count))
    read = ~np.isin(np.arange(n), list(unreadable))
    logits = np.where(read[:, None], logits, np.nan)
    probabilities = np.full_like(logits, np.nan)
    probabilities[read] = softmax(logits[read], axis=1)
    labels = [classes[row.argmax()] if ok else None for row, ok in zip(probabilities, read, strict=True)]
    columns = {
        "id": list(ids) if ids is not None else [f"image {row}" for row in range(n)],
        "truth": [classes[target] for target in targets],
        "logits": logits,
        "probabilities": probabilities,
        "label": labels,
        "confidence": probabilities.max(axis=1),
        "prediction_set": [None if label is None else [label] for label in labels],
        "ood_score": np.zeros(n),
        "reason": ["ok" if ok else "unreadable" for ok in read],
        "detail": [None if ok else "cut off" for ok in read],
    }
    return Predictions.from_columns(columns | more, classes, "binary" if count == 2 else "multiclass")


def random_predictions(n, classes=3, *, skill=1.5, seed=0, noise=0.0, **more):
    """Predictions of `n` images, better with more `skill`; the same `seed` gives the same images."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, n)
    logits = random.normal(size=(n, classes))
    logits[np.arange(n), targets] += skill
    logits += noise * np.random.default_rng(seed + 1000).normal(size=logits.shape)
    return predictions_from(logits, targets, **more)


@pytest.fixture(scope="session")
def from_logits():
    return predictions_from


@pytest.fixture(scope="session")
def random_ones():
    return random_predictions
