"""Slices of images that look alike and are answered badly."""

import numpy as np

from linnaea.evidence.fairness import slices_of
from linnaea.evidence.fairness.discovery import find_slices, slices_finding


def clustered(seed, n=400, bad=0.1):
    """Features in five heaps, and mistakes: as frequent everywhere, but in one heap the share `bad`; with its name."""
    random = np.random.default_rng(seed)
    heap = random.integers(0, 5, n)
    features = random.normal(size=(5, 40))[heap] * 2 + random.normal(size=(n, 40))
    wrong = random.random(n) < np.where(heap == 3, bad, 0.1)
    light = np.where(heap == 3, "night", np.where(random.random(n) < 0.1, "night", "day"))
    return (
        features,
        wrong,
        heap,
        slices_of({"light": light.tolist(), "fur": (["long", "short"] * n)[:n]}, ["light", "fur"]),
    )


def test_a_planted_slice_is_found_and_named_by_the_column_that_explains_it():
    features, wrong, heap, columns = clustered(0, bad=0.5)
    found = find_slices(features, wrong, columns)
    assert len(found) == 1
    assert (heap[found[0].rows] == 3).mean() > 0.9
    assert (heap == 3)[found[0].rows].sum() > 0.5 * (heap == 3).sum()
    assert found[0].named.startswith("light is night")
    assert found[0].limits[0] > found[0].others
    assert wrong[found[0].shown[0]]
    (told,) = slices_finding(found, [str(row) for row in range(400)], {"mostly truth": heap.tolist()})
    assert told.severity == "warning"
    assert told.rows[0]["mostly truth"].startswith("3 (")
    assert told.images[0] == str(found[0].shown[0])


def test_nothing_is_accused_where_nothing_is_there():
    loud = sum(bool(find_slices(*clustered(seed, n=250)[:2], [])) for seed in range(20))
    assert loud <= 2
    (told,) = slices_finding([], [], {})
    assert told.severity == "info"


def test_few_images_make_no_slices():
    assert find_slices(np.random.default_rng(0).normal(size=(30, 5)), np.ones(30, dtype=bool), []) == []
