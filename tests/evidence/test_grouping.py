"""Groups of strangers: found where there are some, one where there is one, and never without reason."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from linnaea.evidence.openset.grouping import group_strangers, turned
from linnaea.models.familiarity import Known

LENGTH = 24


def known(classes=4, count=60, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 3, (classes, LENGTH))
    targets = np.repeat(np.arange(classes), count)
    features = (centres[targets] + generator.normal(0, 1, (len(targets), LENGTH))).astype(np.float32)
    weight = np.zeros((classes, LENGTH), dtype=np.float32)
    return Known(features, features @ weight.T, targets, weight, np.zeros(classes), (features, features @ weight.T))


def blobs(sizes, seed=1, apart=3.0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, apart, (len(sizes), LENGTH))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[truth] + generator.normal(0, 1, (len(truth), LENGTH))).astype(np.float32), truth


@pytest.mark.parametrize("sizes", [(40, 30), (50, 30, 20), (30, 25, 20, 15, 10)])
def test_groups_are_found_and_numbered_by_size(sizes):
    features, truth = blobs(sizes)
    found = group_strangers(known(), features, smallest=5)
    assert adjusted_rand_score(truth, found.groups) > 0.95
    assert np.bincount(found.groups).tolist() == sorted(np.bincount(found.groups).tolist(), reverse=True)
    assert found.silhouette > found.within


def test_one_kind_of_thing_is_one_group():
    divided = [
        group_strangers(known(seed=seed), blobs((60,), seed=seed)[0], smallest=5).groups.max() for seed in range(8)
    ]
    assert divided == [0] * 8


def test_small_groups_are_left_alone():
    features, truth = blobs((40, 30, 10))
    found = group_strangers(known(), features, smallest=12)
    assert (found.groups[truth == 2] == -1).all()
    assert adjusted_rand_score(truth[truth < 2], found.groups[truth < 2]) > 0.95


def test_the_order_of_pictures_does_not_matter():
    features, _ = blobs((40, 30, 20))
    order = np.random.default_rng(5).permutation(len(features))
    first = group_strangers(known(), features, smallest=5).groups
    again = group_strangers(known(), features[order], smallest=5).groups
    assert adjusted_rand_score(first[order], again) == pytest.approx(1)


def test_what_differs_within_known_classes_counts_less():
    generator = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 80)
    features = np.eye(3, LENGTH)[targets] * 8 + generator.normal(0, 0.3, (240, LENGTH))
    features[:, 5] += generator.choice([-4, 4], 240)
    weight = np.zeros((3, LENGTH))
    own = Known(features, features @ weight.T, targets, weight, np.zeros(3), (features, features @ weight.T))
    white = turned(own, features)
    shares = [values[:, 5].var() / values.var(axis=0).sum() for values in (own.unit, white)]
    assert shares[1] < 0.5 * shares[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_do_no_harm(count):
    features, _ = blobs((count,))
    found = group_strangers(known(), features, smallest=2)
    assert len(found.groups) == len(found.typical) == count
    assert np.isfinite(found.typical).all()


def test_equal_pictures_are_one_group():
    features = np.repeat(blobs((1,))[0], 20, axis=0)
    assert set(group_strangers(known(), features, smallest=5).groups) == {0}
