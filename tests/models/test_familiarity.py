"""Familiarity scores are built anew from their description, and Mahalanobis is its formula."""

import numpy as np
import pytest
import torch

from linnaea.errors import BundleError
from linnaea.models.familiarity import FAMILIARITIES
from linnaea.models.familiarity.by_features import Mahalanobis
from linnaea.models.part import build_part


@pytest.mark.parametrize(("length", "rank"), [(6, 2), (20, 20), (40, 7)])
def test_mahalanobis_is_the_distance_of_the_whole_covariance(length, rank):
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(length, length)))[0][:, :rank]
    variances, rest, means = random.uniform(0.5, 2, rank), 0.1, random.normal(size=(3, length)) / 4
    covariance = directions @ np.diag(variances) @ directions.T
    covariance += rest * (np.eye(length) - directions @ directions.T)
    score = Mahalanobis(3, length, rank)
    for buffer, values in {
        score.directions: directions.T,
        score.precisions: 1 / variances,
        score.residual_precision: np.array(1 / rest),
        score.means: means,
    }.items():
        buffer.copy_(torch.from_numpy(values))
    features = random.normal(size=(10, length))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    apart = unit[:, None] - means
    squared = np.einsum("nkd,de,nke->nk", apart, np.linalg.inv(covariance), apart)
    expected = np.sqrt(squared.min(axis=1) / length)
    scores = score(torch.from_numpy(features).float(), torch.zeros(10, 3))
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ([64, 1280], "expected its kind and arguments"),
        ({"kind": "mahalanobis"}, "expected its kind and arguments"),
        ({"kind": "energie", "arguments": {}}, "Did you mean 'energy'"),
        ({"kind": "energy", "arguments": {"colour": 1}}, "unexpected keyword"),
        ({"kind": "vim", "arguments": {"length": -1, "rank": 2}}, "cannot build"),
    ],
)
def test_a_description_that_fits_no_score_is_refused(description, said):
    with pytest.raises(BundleError, match=said):
        build_part(FAMILIARITIES, description)
