"""Where maps of mistakes and of right answers look, and shortcuts: planted, and not accused where there are none."""

import numpy as np
import pytest

from linnaea.errors import UsageError
from linnaea.evidence.explanation.aggregates import (
    Answered,
    mass_by_place,
    mean_map,
    where_classes_look,
    where_mistakes_look,
)

SIDE = 24


def blobs(centres, seed=0, width=3.0):
    """Maps (N, 24, 24), each with a blob around its centre (row, column) and some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    heat = [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * width**2)) for r, c in centres]
    return np.array(heat) + random.uniform(0, 0.02, (len(heat), SIDE, SIDE))


def anywhere(count, random):
    return random.uniform(4, SIDE - 4, (count, 2))


def set_of(maps, answers, truth, classes=("ant", "bee", "cat"), seed=0):
    return Answered(maps, np.array(answers), np.array(truth), classes, [f"{n}.png" for n in range(len(maps))], seed)


def test_the_mass_of_a_map_lies_where_its_blob_is():
    mass = mass_by_place(blobs([(3, 3), (12, 12), (21, 21), (21, 3)]))
    np.testing.assert_allclose(mass.sum(axis=1), 1)
    assert mass.argmax(axis=1).tolist() == [0, 4, 8, 6]


def test_a_map_that_speaks_against_the_class_everywhere_has_no_mass():
    assert np.isnan(mass_by_place(-np.ones((1, SIDE, SIDE)))).all()
    assert mean_map(-np.ones((1, SIDE, SIDE))) == []


def test_a_mean_map_is_coarse_and_adds_up_to_one():
    grid = np.array(mean_map(blobs([(3, 3)] * 4)))
    assert grid.shape == (7, 7)
    assert grid.sum() == pytest.approx(1, abs=0.01)
    assert np.unravel_index(grid.argmax(), grid.shape) == (0, 0) or grid[:2, :2].sum() > 0.5


def test_false_positives_that_look_at_a_corner_are_named():
    random = np.random.default_rng(0)
    corner = np.array([(20, 3)] * 12) + random.normal(0, 1, (12, 2))
    maps = blobs([*corner, *anywhere(3, random), *anywhere(20, random)])
    found = where_mistakes_look(set_of(maps, [0] * 35, [1] * 15 + [0] * 20))
    assert found.severity == "warning"
    assert "of 15 false positives of 'ant', 1" in found.summary.lower()
    assert "the lower left corner" in found.summary
    assert found.rows[0]["looking"] >= 12
    assert found.images[0] == "0.png"


def test_mistakes_that_look_where_right_answers_look_are_not_named():
    random = np.random.default_rng(1)
    found = where_mistakes_look(set_of(blobs(anywhere(60, random)), [0] * 60, [1] * 20 + [0] * 40))
    assert found.severity == "info"
    assert "as far as is seen" in found.summary
    assert not any(row["named"] for row in found.rows)


def test_of_too_few_mistakes_it_is_said_that_nothing_is_compared():
    random = np.random.default_rng(2)
    found = where_mistakes_look(set_of(blobs(anywhere(10, random)), [0] * 10, [1] * 4 + [0] * 6))
    assert "not compared" in found.summary
    assert not found.rows


def test_without_mistakes_nothing_is_said_of_them():
    assert where_mistakes_look(set_of(blobs([(3, 3)]), [0], [0])) is None


def test_images_of_unknown_class_play_no_part():
    answered = set_of(blobs([(3, 3)] * 3), [0, 1, 2], [0, -1, 1])
    assert answered.right.tolist() == [True, False, False]
    assert answered.wrong.tolist() == [False, False, True]


def test_as_many_answers_as_maps_are_needed():
    with pytest.raises(UsageError, match="3 maps, 2 answers"):
        set_of(blobs([(3, 3)] * 3), [0, 1], [0, 1, 2])


def marked(random, share=0.8, count=30):
    """Right answers of three classes; of those of the first, this share looks at the lower left corner."""
    centres = anywhere(3 * count, random)
    told = random.random(count) < share
    centres[:count][told] = np.array([20, 3]) + random.normal(0, 1, (told.sum(), 2))
    classes = np.repeat([0, 1, 2], count)
    return blobs(centres, seed=int(random.integers(1000))), classes


def test_a_class_told_by_a_mark_in_a_corner_is_found():
    maps, classes = marked(np.random.default_rng(3))
    found = where_classes_look(set_of(maps, classes, classes))
    assert found.severity == "warning"
    assert "'ant' look at the lower left corner" in found.summary
    assert [row["class"] for row in found.rows if row["named"]] == ["ant"]


def accused(seed, share):
    maps, classes = marked(np.random.default_rng(seed), share, count=20)
    return where_classes_look(set_of(maps, classes, classes, seed=seed)).severity == "warning"


@pytest.mark.slow
def test_a_clean_set_is_accused_in_less_than_five_of_a_hundred_simulations():
    assert sum(accused(seed, 0.0) for seed in range(100)) <= 2


def test_clean_sets_are_not_accused():
    assert sum(accused(seed, 0.0) for seed in range(100, 115)) == 0


@pytest.mark.slow
def test_a_mark_is_found_in_nearly_all_simulations():
    assert sum(accused(seed, 0.8) for seed in range(20)) >= 19


@pytest.mark.slow
def test_mistakes_are_accused_in_less_than_five_of_a_hundred_simulations():
    def named(seed):
        maps = blobs(anywhere(40, np.random.default_rng(seed)))
        return where_mistakes_look(set_of(maps, [0] * 40, [1] * 12 + [0] * 28, seed=seed)).severity == "warning"

    assert sum(named(seed) for seed in range(100)) <= 4


def test_a_place_whose_covering_takes_nothing_away_is_no_warning():
    maps, classes = marked(np.random.default_rng(4))
    images = np.random.default_rng(0).integers(0, 256, (len(maps), SIDE, SIDE, 3), dtype=np.uint8)
    answered = set_of(maps, classes, classes)

    def deaf(pixels):
        return np.tile([0.8, 0.1, 0.1], (len(pixels), 1))

    found = where_classes_look(answered, images, deaf)
    assert found.severity == "info"
    assert "changes 0 of" in found.summary


def test_a_place_that_answers_hang_on_is_proved_by_covering_it():
    maps, classes = marked(np.random.default_rng(4))
    images = np.full((len(maps), SIDE, SIDE, 3), 60, dtype=np.uint8)
    images[classes == 0, 18:22, 1:5] = 250  # the mark

    def seeing(pixels):
        mark = (pixels[:, 16:, :8].max(axis=(1, 2, 3)) > 200)[:, None]
        return np.where(mark, [0.9, 0.05, 0.05], [0.2, 0.4, 0.4])

    found = where_classes_look(set_of(maps, classes, classes), images, seeing)
    first = found.rows[0]
    assert found.severity == "warning"
    assert first["changed"] == first["covered"] > 15
    assert first["changed_opposite"] == 0
    assert first["fall"] == pytest.approx(0.7)


def test_a_class_that_is_absent_or_rare_is_not_judged():
    random = np.random.default_rng(5)
    maps = blobs(anywhere(30, random))
    classes = np.array([0] * 20 + [1] * 10)
    found = where_classes_look(set_of(maps, classes, classes))
    assert [row["class"] for row in found.rows] == ["ant", "bee"] or {r["class"] for r in found.rows} == {"ant", "bee"}
    assert where_classes_look(set_of(maps[:1], classes[:1], classes[:1])) is None
