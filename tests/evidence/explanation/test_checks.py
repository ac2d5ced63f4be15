"""Checks of explanations: what is planted is found, and nothing is where nothing is there."""

import numpy as np
import pytest
import torch

from linnaea.errors import UsageError
from linnaea.evidence.explanation.checks.contract import EXPLANATION_CHECKS, Explained, Unlearnt
from linnaea.evidence.explanation.checks.pointing import hits_of, mass_inside
from linnaea.evidence.explanation.checks.randomisation import _verdict
from linnaea.evidence.explanation.checks.similarity import is_flat, rank_correlation, structure
from linnaea.evidence.explanation.checks.stability import noisy_images, relative_change
from linnaea.finding import Estimate, Finding

SIDE, COUNT = 28, 12


def places(count, seed=0):
    """Where a bright patch of 6 x 6 pixels lies in each image: upper left pixel."""
    return np.random.default_rng(seed).integers(0, SIDE - 6, (count, 2))


def planted(count=COUNT, seed=0):
    """Images of dim noise with a bright patch, and the pixels of the patch."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, SIDE, SIDE, 3), dtype=np.uint8)
    objects = np.zeros((count, SIDE, SIDE), dtype=bool)
    for row, (top, left) in enumerate(places(count, seed)):
        objects[row, top : top + 6, left : left + 6] = True
    images[objects] = 240
    return images, objects


def answer(pixels):
    """Probabilities of two classes, the first by how many pixels are bright."""
    bright = np.minimum((pixels.mean(axis=3) > 180).sum(axis=(1, 2)) / 36, 1)
    return np.stack([0.05 + 0.9 * bright, 0.95 - 0.9 * bright], axis=1)


def brightness(images):
    return images.mean(axis=3).astype(float)


def anything(images, seed=0):
    return np.random.default_rng(seed).random(images.shape[:3])


def explained(methods, count=COUNT, objects=True, **given):
    """What is seen of methods, functions of images and a seed; without `unlearnt`, nothing can be taken away."""
    images, inside = planted(count)
    made = {
        "answer": answer,
        "images": images,
        "targets": np.zeros(count, dtype=np.int64),
        "maps": {name: method(images, 0) for name, method in methods.items()},
        "remake": lambda name, other, seed: methods[name](other, seed),
        "unlearnt": lambda name: "it has no weights",
        "objects": {True: inside, False: None}[objects] if isinstance(objects, bool) else objects,
    }
    return Explained(**(made | given))


GOOD = {"true": lambda images, seed: brightness(images)}
BAD = {"chance": lambda images, seed: anything(images, seed)}
OPPOSITE = {"opposite": lambda images, seed: -brightness(images)}
FLAT = {"flat": lambda images, seed: np.zeros(images.shape[:3])}
EVERY = GOOD | BAD | OPPOSITE | FLAT


def outcomes(name, seen):
    return {method: verdict.outcome for method, verdict in EXPLANATION_CHECKS[name](seen).verdicts.items()}


@pytest.mark.parametrize("name", list(EXPLANATION_CHECKS))
def test_every_check_gives_a_finding_with_a_row_per_method_and_measures_every_image(name):
    about = EXPLANATION_CHECKS.about(name)
    assert about.title
    assert about.meaning.endswith(".")
    found = EXPLANATION_CHECKS[name](explained(EVERY))
    assert found.finding.name == f"explanation_{name}"
    assert found.finding.summary.endswith(".")
    assert {row["method"] for row in found.finding.rows} <= set(EVERY)
    assert set(found.verdicts) <= set(EVERY)
    assert all(len(values) == COUNT for values in found.measured.values())
    assert Finding.from_json(found.finding.to_json()).to_json() == found.finding.to_json()


@pytest.mark.parametrize("name", list(EXPLANATION_CHECKS))
def test_every_check_says_what_it_can_of_one_image(name):
    found = EXPLANATION_CHECKS[name](explained(EVERY, count=1))
    assert set({verdict.outcome for verdict in found.verdicts.values()}) <= {"undecided", "not done", "passed"}
    for row in found.finding.rows:
        assert row.get("lo") is None or name == "pointing"


@pytest.mark.parametrize("name", list(EXPLANATION_CHECKS))
def test_every_check_bears_black_images(name):
    black = np.zeros((3, SIDE, SIDE, 3), dtype=np.uint8)
    maps = {name: method(black, 0) for name, method in EVERY.items()}
    seen = explained(EVERY, count=3, images=black, maps=maps)
    found = EXPLANATION_CHECKS[name](seen)
    assert found.finding.summary
    assert "nan" not in str(found.finding.rows)


@pytest.mark.parametrize("name", ["deletion", "insertion"])
def test_a_true_map_beats_random_order_and_its_opposite_does_not(name):
    told = outcomes(name, explained(EVERY))
    assert told["true"] == "passed"
    assert told["opposite"] == "failed"
    assert told["chance"] == "undecided"
    assert told["flat"] == "not done"


@pytest.mark.parametrize("name", ["deletion", "insertion"])
def test_the_area_under_the_answer_is_that_counted_by_hand(name):
    shown = []

    def listening(pixels):
        shown.append(len(pixels))
        return answer(pixels)

    found = EXPLANATION_CHECKS[name](explained(GOOD, count=1, answer=listening))
    assert sum(shown) == 15 + 2 * 13 + 13  # the first order with both ends, two more, and the map
    (row,) = found.finding.rows
    assert 0 < row["area"] < 1
    assert row["gain"] == pytest.approx(abs(row["area"] - row["random_order"]), abs=1e-3)


def test_chance_is_called_better_than_random_order_in_few_of_many_trials():
    def better(seed):
        images, _ = planted(10, seed)
        maps = {"chance": anything(images, seed + 1000)}
        seen = explained(BAD, count=10, images=images, maps=maps, seed=seed)
        return outcomes("deletion", seen)["chance"] == "passed"

    assert sum(better(seed) for seed in range(12)) <= 2


def test_pointing_counts_the_maps_that_are_highest_on_the_object():
    told = outcomes("pointing", explained(EVERY))
    assert told["true"] == "passed"
    assert told["chance"] == "undecided"
    assert told["flat"] == "not done"
    row = EXPLANATION_CHECKS["pointing"](explained(GOOD)).finding.rows[0]
    assert (row["hits"], row["n"]) == (1.0, COUNT)
    assert row["by_chance"] == pytest.approx(36 / SIDE**2, abs=1e-4)


def test_without_objects_there_is_no_pointing_game():
    assert EXPLANATION_CHECKS["pointing"](explained(GOOD, objects=False)) is None


def test_of_equally_high_pixels_the_share_on_the_object_counts():
    maps, objects = np.zeros((1, 4, 4)), np.zeros((1, 4, 4), dtype=bool)
    maps[0, 0], objects[0, :, 0] = 1, True
    assert hits_of(maps, objects) == [0.25]
    assert mass_inside(maps, objects) == [0.25]
    assert np.isnan(mass_inside(-maps, objects)).all()


def test_a_map_of_the_image_is_stable_and_one_by_chance_is_not():
    told = outcomes("stability", explained(EVERY))
    assert (told["true"], told["chance"], told["flat"]) == ("passed", "failed", "not done")


def test_max_sensitivity_is_that_of_captum():
    from captum.metrics import sensitivity_max

    images, _ = planted(3)
    draws = [noisy_images(images, seed) for seed in (1, 2, 3)]
    own = np.max([relative_change(brightness(images), brightness(other)) for other in draws], axis=0)
    waiting = iter(draws)

    def perturb(given):
        return torch.from_numpy(next(waiting)).double()

    def explain(given):
        return (given[0].mean(dim=3) if isinstance(given, tuple) else given.mean(dim=3),)

    theirs = [sensitivity_max(explain, torch.from_numpy(images).double(), perturb, n_perturb_samples=1) for _ in draws]
    np.testing.assert_allclose(own, torch.stack(theirs).max(dim=0).values.numpy(), rtol=1e-6)


def test_noise_is_small_and_within_the_range():
    images = np.full((2, 8, 8, 3), 254, dtype=np.uint8)
    noisy = noisy_images(images, 0).astype(int)
    assert np.abs(noisy - 254).max() <= 5
    assert noisy.max() <= 255


def unlearning(changed):
    """A network without what it learnt: its answers say nothing, and its maps are those of `changed`."""

    def stages(method):
        return [Unlearnt("all weights", changed, lambda pixels: np.full((len(pixels), 2), 0.5))]

    return stages


def test_a_map_that_stays_the_same_without_what_was_learnt_fails():
    edges = {"edges": lambda images, seed: np.abs(np.gradient(brightness(images), axis=1))}
    seen = explained(edges, unlearnt=unlearning(lambda name, images, seed: edges[name](images, seed)))
    found = EXPLANATION_CHECKS["randomisation"](seen)
    assert found.verdicts["edges"].outcome == "failed"
    assert found.finding.severity == "warning"
    assert "show the image, and not what was learnt" in found.finding.summary


def test_a_map_that_becomes_another_passes():
    seen = explained(GOOD, unlearnt=unlearning(lambda name, images, seed: anything(images, seed)))
    assert outcomes("randomisation", seen) == {"true": "passed"}


def test_a_map_that_becomes_flat_passes_and_a_flat_one_is_not_judged():
    seen = explained(GOOD | FLAT, unlearnt=unlearning(lambda name, images, seed: np.zeros(images.shape[:3])))
    assert outcomes("randomisation", seen) == {"true": "passed", "flat": "not done"}


def test_where_nothing_can_be_taken_away_the_check_says_so():
    found = EXPLANATION_CHECKS["randomisation"](explained(GOOD))
    assert found.verdicts["true"].outcome == "not done"
    assert found.finding.rows[0]["why"] == "it has no weights"


def test_where_the_answers_survive_nothing_was_taken_away():
    def stages(method):
        return [Unlearnt("all weights", lambda name, images, seed: brightness(images), answer)]

    assert outcomes("randomisation", explained(GOOD, unlearnt=stages)) == {"true": "not done"}


def test_methods_that_contradict_each_other_are_named():
    found = EXPLANATION_CHECKS["agreement"](explained(GOOD | OPPOSITE | {"twin": GOOD["true"]}))
    told = {(row["method"], row["other"]): row["rank_correlation"] for row in found.finding.rows}
    assert told == {("true", "opposite"): -1.0, ("true", "twin"): 1.0, ("opposite", "twin"): -1.0}
    assert "No agreement is seen between true and opposite, opposite and twin" in found.finding.summary
    assert EXPLANATION_CHECKS["agreement"](explained(GOOD)) is None


def test_similarities_are_those_of_scipy_and_scikit_image():
    from scipy.stats import spearmanr
    from skimage.metrics import structural_similarity

    random = np.random.default_rng(0)
    first = random.random((3, 20, 20))
    second = first + random.random((3, 20, 20))
    ranks = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlation(first, second), ranks)

    def unit(values):
        return (values - values.min()) / np.ptp(values)

    shapes = [structural_similarity(unit(a), unit(b), data_range=1.0) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(structure(first, second), shapes, atol=1e-10)


def test_flat_maps_are_like_no_other():
    flat, other = np.ones((1, 8, 8)), np.random.default_rng(0).random((1, 8, 8))
    for alike in (rank_correlation, structure):
        assert alike(other, flat) == [0]
        assert np.isnan(alike(flat, other)).all()
    assert is_flat(flat).tolist() == [True]
    assert is_flat(flat * 1e-30 + other * 1e-33).tolist() == [False]


def test_maps_must_be_as_large_as_the_images():
    with pytest.raises(UsageError, match="maps of true have the shape"):
        explained(GOOD, maps={"true": np.zeros((COUNT, 3, 3))})
    with pytest.raises(UsageError, match="objects have the shape"):
        explained(GOOD, objects=np.zeros((1, 3, 3), dtype=bool))


def test_a_stage_that_surely_stays_the_same_fails_beside_one_that_may():
    likely = Estimate(0.7, 0.4, 0.9, 8, "jackknife")
    surely = Estimate(0.6, 0.55, 0.65, 8, "jackknife")
    stages = [Unlearnt(how, lambda *given: None) for how in ("the last layer", "all layers")]
    told = _verdict([(stages[0], 0.1, likely), (stages[1], 0.1, surely)])
    assert told.outcome == "failed"
    assert "all layers" in told.reason


def test_of_flat_maps_it_is_said_that_agreement_is_not_defined_and_nothing_else():
    said = EXPLANATION_CHECKS["agreement"](explained(FLAT | {"twin": FLAT["flat"]})).finding.summary
    assert said == "Rank correlation between the maps of 2 methods: not defined, as maps are flat."
    said = EXPLANATION_CHECKS["agreement"](explained(FLAT | GOOD | {"twin": GOOD["true"]})).finding.summary
    assert "No agreement" not in said
    assert said.endswith("Not defined, as maps are flat, between flat and true, flat and twin.")
