"""Explanations by covering: against captum, scikit-learn and values counted by hand, and what they find."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from linnaea.errors import UsageError
from linnaea.evidence.explanation.black_box.covering import covered, mean_colour
from linnaea.evidence.explanation.black_box.occluding import occlusion_map, window_for
from linnaea.evidence.explanation.black_box.random_masks import random_masks, rise_map
from linnaea.evidence.explanation.black_box.regions import squares, superpixels
from linnaea.evidence.explanation.black_box.surrogates import (
    closeness,
    coalitions,
    kernel_shap_map,
    lime_map,
    ridge,
    shapley,
)

SIDE = 16


def noise(seed=0, side=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def patched(row=3, column=10, side=SIDE):
    """A grey image with a bright patch of 4 x 4 pixels, and where that is."""
    image = np.full((side, side, 3), 90, dtype=np.uint8)
    inside = np.zeros((side, side), dtype=bool)
    inside[row : row + 4, column : column + 4] = True
    image[inside] = 250
    return image, inside


def patch_seen(pixels):
    """Probabilities of two classes: how bright the patch at (3, 10) is, and the rest."""
    bright = pixels[:, 3:7, 10:14].mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1)


def test_what_is_covered_takes_the_mean_colour():
    image = noise()
    keep = np.ones((2, SIDE, SIDE))
    keep[1, :8] = 0
    first, second = covered(image, keep)
    np.testing.assert_array_equal(first, image)
    np.testing.assert_array_equal(second[8:], image[8:])
    assert np.abs(second[:8] - mean_colour(image)).max() <= 0.5


def test_numbers_from_0_to_1_stay_numbers():
    half = covered(noise() / 255, np.full((1, SIDE, SIDE), 0.5))
    assert half.dtype == np.float32
    assert half.max() < 1


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (6, 3), (5, 2), (16, 1)])
def test_occlusion_is_that_of_captum(window, stride):
    from captum.attr import Occlusion

    image = noise()
    weights = np.random.default_rng(1).normal(size=(SIDE, SIDE, 3))

    def answer(pixels):
        score = (pixels / 255 * weights).sum(axis=(1, 2, 3)) / 100
        return np.stack([score, -score], axis=1)

    def forward(pixels):
        return torch.from_numpy(answer(pixels.permute(0, 2, 3, 1).numpy()))

    filling = np.rint(mean_colour(image))
    own = occlusion_map(answer, image, 0, window=window, stride=stride)
    theirs = Occlusion(forward).attribute(
        torch.from_numpy(image).permute(2, 0, 1)[None].double(),
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=torch.from_numpy(np.broadcast_to(filling[None, :, None, None], (1, 3, SIDE, SIDE)).copy()),
        target=0,
    )
    np.testing.assert_allclose(own, theirs[0, 0].numpy(), atol=1e-6)


@pytest.mark.parametrize(("side", "evaluations"), [(224, 196), (28, 196), (8, 16), (32, 50)])
def test_windows_are_no_more_than_evaluations(side, evaluations):
    from linnaea.evidence.explanation.black_box.occluding import windows

    window, stride = window_for(side, evaluations)
    masks = list(windows((side, side), window, stride))
    assert len(masks) <= evaluations
    assert np.any(masks, axis=0).all()


def test_random_masks_are_smooth_and_keep_half():
    masks = np.array(list(random_masks((32, 32), 200, seed=0)))
    assert masks.shape == (200, 32, 32)
    assert masks.mean() == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.diff(masks, axis=1)).max() < 0.5


def test_rise_is_the_weighted_mean_of_its_masks():
    image, _ = patched()
    masks = np.array(list(random_masks((SIDE, SIDE), 40, seed=3)))
    said = patch_seen(covered(image, masks))[:, 0]
    expected = (said[:, None, None] * masks).sum(axis=0) / masks.sum(axis=0) - said.mean()
    np.testing.assert_allclose(rise_map(patch_seen, image, 0, evaluations=40, seed=3), expected, atol=1e-6)


def test_lime_is_ridge_regression_as_scikit_learn_has_it():
    random = np.random.default_rng(0)
    kept = random.integers(0, 2, (200, 12)).astype(float)
    said = kept @ random.normal(size=12) + random.normal(size=200)
    weights = closeness(kept)
    theirs = Ridge(alpha=1.0).fit(kept, said, sample_weight=weights)
    np.testing.assert_allclose(ridge(kept, said, weights), theirs.coef_, atol=1e-8)


def test_samples_of_lime_are_weighed_as_its_paper_does():
    from sklearn.metrics import pairwise_distances

    kept = np.random.default_rng(0).integers(0, 2, (50, 12)).astype(float)
    kept[0] = 1
    distance = pairwise_distances(kept, kept[:1], metric="cosine").ravel()
    np.testing.assert_allclose(closeness(kept), np.sqrt(np.exp(-(distance**2) / 0.25**2)), atol=1e-9)


def value_of(chosen):
    """A game of five players that work together: what is won by those who play."""
    one, two, three, four, five = chosen
    return one + 2 * two * three + 0.5 * four - three * five


def exact_shapley(count, game):
    """From the definition: the mean of what each adds, over all orders."""
    values = np.zeros(count)
    for player in range(count):
        others = [one for one in range(count) if one != player]
        for size in range(count):
            for group in combinations(others, size):
                chosen = np.zeros(count)
                chosen[list(group)] = 1
                before = game(chosen)
                chosen[player] = 1
                weight = factorial(size) * factorial(count - size - 1) / factorial(count)
                values[player] += weight * (game(chosen) - before)
    return values


def test_shapley_values_are_exact_where_every_subset_is_asked():
    kept, weights = coalitions(5, 30, seed=0)
    assert len(kept) == 30
    said = np.array([value_of(row) for row in kept])
    found = shapley(kept, said, weights, value_of(np.ones(5)))
    np.testing.assert_allclose(found, exact_shapley(5, value_of), atol=1e-6)


def test_shapley_values_of_samples_come_close_and_add_up():
    random = np.random.default_rng(0)
    worth, pair = random.normal(size=30), random.normal(size=(30, 30)) / 10

    def game(rows):
        return rows @ worth + np.einsum("mi,ij,mj->m", rows, pair, rows)

    exact = worth + np.diag(pair) + ((pair + pair.T) / 2 - np.diag(np.diag(pair))).sum(axis=1)
    kept, weights = coalitions(30, 2000, seed=1)
    found = shapley(kept, game(kept), weights, float(game(np.ones((1, 30)))[0]))
    assert found.sum() == pytest.approx(game(np.ones((1, 30)))[0])
    np.testing.assert_allclose(found, exact, atol=0.15)


def test_the_map_of_kernel_shap_adds_up_to_what_covering_everything_takes_away():
    image, _ = patched()
    regions = squares((SIDE, SIDE), 16)
    heat = kernel_shap_map(patch_seen, image, 0, regions, evaluations=200, seed=0)
    grey = covered(image, np.zeros((1, SIDE, SIDE)))
    fall = patch_seen(image[None])[0, 0] - patch_seen(grey)[0, 0]
    assert heat[::4, ::4].sum() == pytest.approx(fall, abs=1e-6)


MAPS = {
    "occlusion": lambda image: occlusion_map(patch_seen, image, 0, window=4, stride=2),
    "rise": lambda image: rise_map(patch_seen, image, 0, evaluations=400, seed=0),
    "lime": lambda image: lime_map(patch_seen, image, 0, superpixels(image, 16), evaluations=200, seed=0),
    "kernel_shap": lambda image: kernel_shap_map(patch_seen, image, 0, superpixels(image, 16), evaluations=100, seed=0),
}


@pytest.mark.parametrize("method", MAPS)
def test_a_planted_patch_is_where_the_map_is_highest(method):
    image, inside = patched()
    heat = MAPS[method](image)
    assert inside[np.unravel_index(heat.argmax(), heat.shape)]


@pytest.mark.parametrize("method", MAPS)
def test_an_image_of_one_colour_has_a_flat_map(method):
    heat = MAPS[method](np.zeros((SIDE, SIDE, 3), dtype=np.uint8))
    assert np.ptp(heat) == pytest.approx(0, abs=1e-9)


def test_superpixels_keep_to_what_is_seen():
    image, inside = patched()
    regions = superpixels(image, 16)
    of_patch = np.bincount(regions[inside], minlength=regions.max() + 1)
    whole = np.bincount(regions.ravel())
    assert (of_patch[of_patch > 0] / whole[of_patch > 0]).max() > 0.8
    assert set(np.unique(regions)) == set(range(regions.max() + 1))


def test_without_scikit_image_regions_are_squares(monkeypatch):
    from linnaea.errors import MissingExtraError
    from linnaea.evidence.explanation.black_box import regions

    def missing(name):
        raise MissingExtraError("scikit-image", "classical")

    monkeypatch.setattr(regions, "library", missing)
    np.testing.assert_array_equal(regions.superpixels(noise(), 16), squares((SIDE, SIDE), 16))
    assert "not installed" in regions.regions_said()


def test_squares_of_few_pixels_are_the_pixels():
    assert squares((2, 2), 49).tolist() == [[0, 1], [2, 3]]


def test_too_few_evaluations_are_refused():
    from linnaea.evidence.explanation.black_box.covering import require_evaluations

    with pytest.raises(UsageError, match="samples is 3; expected 4 or more"):
        require_evaluations(3)
