"""Folds: every image is tested once per repeat, units stay whole, and the manifest brings the same folds back."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import smooth

import linnaea
from linnaea.data.splits import assign_folds, each_fold, given_folds, random_folds, with_folds
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError


def dataset_of(labels, **columns):
    paths = [f"{number:04}.png" for number in range(len(labels))]
    table = pa.table({"path": paths, "label": list(labels), **columns})
    return Dataset(table, tuple(sorted(set(labels))), "multiclass", Path())


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=8, max_size=80),
    folds=st.integers(2, 5),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_units_stay_whole_and_the_order_of_the_files_does_not_matter(rows, folds, seed, data):
    dataset, groups = dataset_of([label for label, _ in rows]), np.array([group for _, group in rows])
    if len(set(groups.tolist())) < folds:
        with pytest.raises(DataError, match="units that must stay together"):
            assign_folds(dataset, groups, folds=folds, seed=seed)
        return
    assigned = assign_folds(dataset, groups, folds=folds, repeats=2, seed=seed)
    assert assigned.shape == (len(rows), 2)
    assert set(assigned.ravel().tolist()) <= set(range(1, folds + 1))
    for column in assigned.T.tolist():
        places = defaultdict(set)
        for group, fold in zip(groups.tolist(), column, strict=True):
            places[group].add(fold)
        assert all(len(found) == 1 for found in places.values())
    order = data.draw(st.permutations(range(len(rows))))
    again = assign_folds(dataset.take(order), groups[list(order)], folds=folds, repeats=2, seed=seed)
    assert again.tolist() == assigned[list(order)].tolist()


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=2, max_size=12), folds=st.integers(2, 6), seed=st.integers(0, 3))
def test_classes_and_folds_are_as_even_as_they_can_be(sizes, folds, seed):
    labels = [chr(97 + place) for place, size in enumerate(sizes) for _ in range(size)]
    if len(labels) < folds:
        return
    column = assign_folds(dataset_of(labels), folds=folds, seed=seed)[:, 0].tolist()
    for label in set(labels):
        counts = Counter(fold for fold, name in zip(column, labels, strict=True) if name == label)
        images = [counts[fold] for fold in range(1, folds + 1)]
        assert max(images) - min(images) <= 1
    whole = [column.count(fold) for fold in range(1, folds + 1)]
    assert max(whole) - min(whole) <= 1


def test_random_folds_keep_groups_together():
    groups = np.random.default_rng(0).integers(0, 50, 400)
    folds = random_folds(groups, seed=3)
    assert set(folds.tolist()) == set(range(5))
    assert len(set(zip(groups.tolist(), folds.tolist(), strict=True))) == len(set(groups.tolist()))
    assert random_folds(np.zeros(7, dtype=np.int64)).tolist() == [0] * 7


def test_repeats_and_seeds_give_other_folds():
    dataset = dataset_of("ab" * 50)
    first = assign_folds(dataset, folds=5, repeats=2, seed=0)
    assert first[:, 0].tolist() != first[:, 1].tolist()
    assert assign_folds(dataset, folds=5, seed=1)[:, 0].tolist() not in first.T.tolist()
    assert assign_folds(dataset, folds=5, repeats=1, seed=0)[:, 0].tolist() == first[:, 0].tolist()


def test_every_image_is_tested_once_in_each_repeat_and_val_comes_out_of_the_rest():
    dataset, groups = dataset_of("aab" * 40), np.repeat(np.arange(60), 2)
    assigned = assign_folds(dataset, groups, folds=4, repeats=3)
    parts = list(each_fold(dataset, assigned, groups))
    assert len(parts) == 12
    for repeat in range(3):
        tested = [path for part in parts[4 * repeat : 4 * repeat + 4] for path in part.split("test").ids]
        assert sorted(tested) == sorted(dataset.ids)
    for part in parts:
        assert set(part.column("split")) == {"train", "val", "test"}
        names = np.array(part.column("split")).reshape(60, 2)
        assert (names[:, 0] == names[:, 1]).all()


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (0, 1), (5, 0), (-1, 1)])
def test_too_few_folds_are_refused(folds, repeats):
    with pytest.raises(UsageError, match="expected at least 2 folds and 1 repeat"):
        assign_folds(dataset_of("ab" * 10), folds=folds, repeats=repeats)


def test_folds_are_columns():
    assigned = assign_folds(dataset_of("ab" * 10), folds=5, repeats=2)
    dataset = with_folds(dataset_of("ab" * 10), assigned)
    assert dataset.table.column_names[-2:] == ["fold_1", "fold_2"]
    assert given_folds(dataset).tolist() == assigned.tolist()
    assert given_folds(dataset_of("ab")) is None


@pytest.mark.parametrize("entry", ["", "none", "0", "-1", "1.5", None])
def test_entries_that_are_no_folds_are_refused(entry):
    with pytest.raises(DataError, match="1 values in the fold columns are not folds"):
        given_folds(dataset_of("ab", fold_1=["1", entry]))


@pytest.fixture
def photos(tmp_path):
    """24 images, the second half nearly the same as the first."""
    for number in range(12):
        picture = smooth(number, 48)
        folder = tmp_path / "photos" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{number:02}.png")
        picture.save(folder / f"{number:02}-again.jpg", quality=90)
    return tmp_path / "photos"


def test_the_manifest_brings_the_same_folds_back(photos):
    done = linnaea.split(photos, folds=3, repeats=2, seed=5)
    assert not done.has("split")
    (photos / "manifest.csv").write_text(done.manifest(["fold_1", "fold_2"]))
    first = [part.column("split") for part in linnaea.folds(photos, seed=5)]
    assert len(first) == 6
    (photos / "manifest.csv").unlink()
    assert [part.column("split") for part in linnaea.folds(photos, folds=3, repeats=2, seed=5)] == first


def test_other_folds_than_the_given_ones_are_refused(photos):
    (photos / "manifest.csv").write_text(linnaea.split(photos, folds=3).manifest(["fold_1"]))
    with pytest.raises(UsageError, match="1 columns of 3 folds"):
        linnaea.folds(photos, folds=4)
    assert len(list(linnaea.folds(photos, folds=3, repeats=1))) == 3


def test_given_splits_and_folds_exclude_each_other(photos):
    done = linnaea.split(photos)
    for ask in (lambda: linnaea.folds(done), lambda: linnaea.split(done, folds=3)):
        with pytest.raises(UsageError, match="has splits already, and folds would mix"):
            ask()
    with pytest.raises(UsageError, match="leave out the fractions and the way to split"):
        linnaea.split(photos, folds=3, split_by="time")
    with pytest.raises(UsageError, match="repeats is 2 without folds"):
        linnaea.split(photos, repeats=2)
