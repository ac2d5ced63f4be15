"""Iterative stratification: every label has its share everywhere, as good as another implementation, whole units."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

from linnaea.data.splits import assign_folds, split
from linnaea.dataset import Dataset

CLASSES = tuple("abcdefghijklmnopqrst")


def dataset_of(lists, **columns):
    paths = [f"{number:05}.png" for number in range(len(lists))]
    labels = pa.array([list(names) for names in lists], pa.list_(pa.string()))
    return Dataset(pa.table({"path": paths, "label": labels, **columns}), CLASSES, "multilabel", Path())


def long_tailed(images, seed):
    """Which of 20 labels each image has: some rare, some often together, shape (images, 20)."""
    random = np.random.default_rng(seed)
    share = 0.4 / np.arange(1, 21) ** 0.8
    together = random.gamma(1, 1, (5, 20))[random.integers(0, 5, images)]
    return random.random((images, 20)) < np.clip(share * together, 0, 0.9)


def from_matrix(matrix):
    return dataset_of([[CLASSES[place] for place in np.flatnonzero(row)] for row in matrix])


def label_distance(matrix, parts):
    """Sechidis et al. 2011, equation 1: how far the odds of a label in a part are from those in all, on average."""
    odds = matrix.sum(axis=0) / (~matrix).sum(axis=0)
    inside = [matrix[parts == part] for part in np.unique(parts)]
    return float(np.mean([abs(rows.sum(axis=0) / (~rows).sum(axis=0) - odds) for rows in inside]))


def assignment(dataset):
    return dict(zip(dataset.ids, dataset.column("split"), strict=True))


@pytest.mark.parametrize("images", [300, 1000])
def test_labels_are_spread_as_well_as_by_another_implementation_and_far_better_than_by_chance(images):
    ours, theirs, chance = [], [], []
    for seed in range(5):
        matrix = long_tailed(images, seed)
        ours.append(label_distance(matrix, assign_folds(from_matrix(matrix), folds=5, seed=seed)[:, 0]))
        other = np.empty(images, dtype=int)
        folds = MultilabelStratifiedKFold(5, shuffle=True, random_state=seed).split(matrix, matrix.astype(int))
        for number, (_, rows) in enumerate(folds):
            other[rows] = number
        theirs.append(label_distance(matrix, other))
        chance.append(label_distance(matrix, np.random.default_rng(seed).permutation(images) % 5))
    assert np.mean(ours) < 1.15 * np.mean(theirs)
    assert np.mean(ours) < np.mean(chance) / 4


def test_every_label_has_its_share_in_every_part():
    matrix = long_tailed(2000, 0)
    parts = np.array(split(from_matrix(matrix)).column("split"))
    for name, share in {"train": 0.7, "val": 0.15, "test": 0.15}.items():
        assert abs((parts == name).mean() - share) < 0.01
        assert (abs(matrix[parts == name].sum(axis=0) - share * matrix.sum(axis=0)) <= 3).all()


def test_rare_labels_are_in_every_part_if_they_can_be():
    lists = [["a"]] * 200 + [["a", "t"]] * 3
    done = split(dataset_of(lists), fractions={"train": 0.4, "val": 0.3, "test": 0.3})
    assert sorted(done.column("split")[-3:]) == ["test", "train", "val"]


def test_images_without_labels_are_spread_too():
    done = split(dataset_of([["a"]] * 100 + [[]] * 100))
    counts = {name: done.column("split")[100:].count(name) for name in ("train", "val", "test")}
    assert counts == {"train": 70, "val": 15, "test": 15}


def test_what_is_unknown_counts_as_absent():
    lists = [["a"]] * 40
    unknown = pa.array([["b"]] * 20 + [[]] * 20, pa.list_(pa.string()))
    assert assignment(split(dataset_of(lists, unknown=unknown))) == assignment(split(dataset_of(lists)))


LISTS = st.lists(st.sets(st.sampled_from("abcde")), min_size=1, max_size=60)


@settings(max_examples=50, deadline=None)
@given(lists=LISTS, seed=st.integers(0, 3), data=st.data())
def test_units_stay_whole_and_the_order_of_the_files_does_not_matter(lists, seed, data):
    dataset = dataset_of(lists)
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=len(lists), max_size=len(lists))))
    done = split(dataset, groups, seed=seed)
    places = defaultdict(set)
    for group, part in zip(groups.tolist(), done.column("split"), strict=True):
        places[group].add(part)
    assert all(len(parts) == 1 for parts in places.values())
    order = data.draw(st.permutations(range(len(lists))))
    assert assignment(split(dataset.take(order), groups[list(order)], seed=seed)) == assignment(done)


def test_stratified_and_iterative_are_the_same_where_there_are_several_labels():
    dataset = from_matrix(long_tailed(200, 1))
    assert assignment(split(dataset, by="stratified")) == assignment(split(dataset, by="iterative"))


def test_iterative_keeps_shares_with_one_label_too():
    labels = ["a"] * 100 + ["b"] * 20
    table = pa.table({"path": [f"{number}.png" for number in range(120)], "label": labels})
    done = split(Dataset(table, ("a", "b"), "binary", Path()), by="iterative")
    assert [done.split(name).labels.count("b") for name in ("train", "val", "test")] == [14, 3, 3]
