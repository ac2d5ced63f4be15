"""Every query strategy meets one contract, and does what its paper says."""

import numpy as np
import pytest

from linnaea.learning.queries.badge import Gradients
from linnaea.learning.queries.by_doubt import entropy_of, margin_of
from linnaea.learning.queries.contract import QUERIES, Pool, needs_of

NAMES = list(QUERIES)


def pool_of(count, *, classes=4, several=False, seed=0, known=5):
    random = np.random.default_rng(seed)
    probabilities = random.uniform(0, 1, (count, classes)) if several else random.dirichlet(np.ones(classes), count)
    features = random.normal(size=(count, 6)).astype(np.float32)
    labelled = random.normal(size=(known, 6)).astype(np.float32)
    return Pool(probabilities, features, labelled, random.uniform(0, 1, count), several, seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("count", "asked"), [(1, 1), (7, 7), (40, 1), (40, 9), (40, 39)])
def test_contract(name, several, count, asked):
    pool = pool_of(count, several=several)
    chosen = QUERIES[name](pool, asked)
    assert chosen.dtype == np.int64
    assert chosen.shape == (asked,)
    assert len(set(chosen.tolist())) == asked
    assert chosen.min() >= 0
    assert chosen.max() < count
    assert np.array_equal(chosen, QUERIES[name](pool_of(count, several=several), asked))
    told = QUERIES.about(name)
    assert told.title
    assert told.meaning


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_needs_no_more_than_it_says(name):
    whole = pool_of(30)
    given = {need: getattr(whole, need) for need in needs_of(name)}
    chosen = QUERIES[name](Pool(whole.probabilities, **given), 5)
    assert len(set(chosen.tolist())) == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_pool_of_the_same_image_over_and_over(name):
    pool = Pool(np.full((12, 3), 1 / 3), np.ones((12, 4), np.float32), np.ones((2, 4), np.float32), np.zeros(12))
    assert len(set(QUERIES[name](pool, 8).tolist())) == 8


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_that_is_sure_of_everything(name):
    pool = pool_of(12)
    sure = np.eye(4)[np.arange(12) % 4]
    chosen = QUERIES[name](Pool(sure, pool.features, pool.known, pool.information), 6)
    assert len(set(chosen.tolist())) == 6


PROBABILITIES = np.array(
    [
        [0.98, 0.01, 0.01],
        [0.50, 0.49, 0.01],  # the smallest margin
        [0.45, 0.28, 0.27],  # the highest entropy, the lowest confidence
        [0.70, 0.29, 0.01],
    ]
)


@pytest.mark.parametrize(("name", "first"), [("margin", 1), ("entropy", 2), ("least_confident", 2)])
def test_doubt_is_what_its_name_says(name, first):
    assert QUERIES[name](Pool(PROBABILITIES), 4)[0] == first
    assert QUERIES[name](Pool(PROBABILITIES), 4)[-1] == 0


def test_figures_of_doubt_by_hand():
    pool = Pool(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    assert entropy_of(pool) == pytest.approx([1.5 * np.log(2), 0])
    assert margin_of(pool) == pytest.approx([0.25, 1])
    several = Pool(np.array([[0.5, 0.9], [1.0, 0.0]]), several=True)
    both = [np.log(2) - 0.9 * np.log(0.9) - 0.1 * np.log(0.1), 0]
    assert entropy_of(several) == pytest.approx(both, abs=1e-9)
    assert margin_of(several) == pytest.approx([0, 1])


def test_doubt_about_one_class_of_several_labels():
    shares = np.array([[0.01, 0.99], [0.5, 0.99], [0.1, 0.9]])
    for name in ("margin", "entropy", "least_confident"):
        assert QUERIES[name](Pool(shares, several=True), 3).tolist() == [1, 2, 0]


def test_bald_asks_where_members_disagree():
    information = np.array([0.0, 0.3, 0.1])
    assert QUERIES["bald"](Pool(np.full((3, 2), 0.5), information=information), 2).tolist() == [1, 2]


def test_k_center_covers_what_is_not_labelled():
    corners = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], dtype=np.float32)
    features = np.concatenate([corner + np.random.default_rng(1).normal(0, 0.3, (20, 2)) for corner in corners])
    pool = Pool(np.full((80, 2), 0.5), features.astype(np.float32), corners[:1])
    assert sorted((QUERIES["k_center"](pool, 3) // 20).tolist()) == [1, 2, 3]
    nothing = Pool(pool.probabilities, pool.features, np.zeros((0, 2), np.float32))
    assert len(set((QUERIES["k_center"](nothing, 4) // 20).tolist())) == 4


def test_k_center_is_within_twice_the_best_cover():
    from itertools import combinations

    for seed in range(5):
        features = np.random.default_rng(seed).normal(size=(12, 2)).astype(np.float32)
        pool = Pool(np.full((12, 2), 0.5), features, np.zeros((0, 2), np.float32))
        apart = np.linalg.norm(features[:, None] - features[None], axis=2)
        best = min(apart[:, list(rows)].min(axis=1).max() for rows in combinations(range(12), 3))
        assert apart[:, QUERIES["k_center"](pool, 3)].min(axis=1).max() <= 2 * best + 1e-6


def test_gradients_are_those_of_the_loss():
    import torch

    pool = pool_of(6)
    gradients = Gradients.of(pool)
    logits = torch.log(torch.tensor(pool.probabilities))
    written = []
    for row in range(6):
        weight = torch.zeros(4, 6, dtype=torch.float64, requires_grad=True)
        scores = logits[row] + weight @ torch.tensor(pool.features[row], dtype=torch.float64)
        torch.nn.functional.cross_entropy(scores, logits[row].argmax()).backward()
        written.append(weight.grad.flatten().numpy())
    assert gradients.squares == pytest.approx((np.array(written) ** 2).sum(axis=1))
    assert gradients.products(2) == pytest.approx(np.array(written) @ written[2])


def test_badge_avoids_what_was_chosen():
    random = np.random.default_rng(0)
    kinds = np.repeat(np.eye(3), 30, axis=0) * 5
    features = (kinds + random.normal(0, 0.01, kinds.shape)).astype(np.float32)
    pool = Pool(np.tile([[0.51, 0.49]], (90, 1)), features, seed=3)
    assert sorted((QUERIES["badge"](pool, 3) // 30).tolist()) == [0, 1, 2]


def test_mix_asks_in_doubt_but_not_twice_the_same():
    features = np.repeat(np.array([[0, 0], [5, 0], [0, 5], [5, 5]], np.float32), 10, axis=0)
    doubt = np.tile([[0.55, 0.45]], (40, 1))
    doubt[:10] = [0.51, 0.49]  # a margin alone would ask for these
    doubt[30:] = [0.999, 0.001]
    pool = Pool(doubt, features)
    assert set(QUERIES["margin"](pool, 3) // 10) == {0}
    assert set((QUERIES["mix"](pool, 4) // 10).tolist()) >= {0, 1, 2}


def test_random_is_random():
    chosen = np.concatenate([QUERIES["random"](Pool(PROBABILITIES, seed=seed), 1) for seed in range(400)])
    assert np.bincount(chosen, minlength=4).min() > 70
