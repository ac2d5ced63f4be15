"""Splits never leak, never depend on the order of files, and never move what was given."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.data.duplicates.grouping import merge_groups
from linnaea.data.splits import default_fractions, split
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError


def dataset_of(labels, **columns):
    """A dataset with these labels and paths that say their number."""
    paths = [f"{label}/{number:04}.png" for number, label in enumerate(labels)]
    classes = tuple(sorted(set(labels)))
    return Dataset(pa.table({"path": paths, "label": list(labels), **columns}), classes, "multiclass", Path())


def assignment(dataset):
    return dict(zip(dataset.ids, dataset.column("split"), strict=True))


def trained_classes(dataset):
    return set(dataset.split("train").labels)


LABELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 5), data=st.data())
def test_the_order_of_the_files_does_not_matter(labels, seed, data):
    order = data.draw(st.permutations(range(len(labels))))
    dataset = dataset_of(labels)
    assert assignment(split(dataset, seed=seed)) == assignment(split(dataset.take(order), seed=seed))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 25)), min_size=1, max_size=80))
def test_groups_are_never_apart_and_their_order_does_not_matter(rows):
    dataset = dataset_of([label for label, _ in rows])
    groups = np.array([group for _, group in rows])
    try:
        done = split(dataset, groups)
    except DataError as error:
        assert "no training image is left" in str(error)  # noqa: PT017  either outcome is right
        return
    found = defaultdict(set)
    for group, name in zip(groups.tolist(), done.column("split"), strict=True):
        found[group].add(name)
    assert all(len(names) == 1 for names in found.values())
    assert trained_classes(done) == set(dataset.classes)
    backwards = list(reversed(range(len(rows))))
    assert assignment(split(dataset.take(backwards), groups[backwards])) == assignment(done)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 5))
def test_every_class_is_in_train(labels, seed):
    done = split(dataset_of(labels), seed=seed)
    assert trained_classes(done) == set(labels)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(20, 120), min_size=2, max_size=4), seed=st.integers(0, 5))
def test_fractions_are_kept_in_every_class(sizes, seed):
    done = split(dataset_of([chr(97 + k) for k, size in enumerate(sizes) for _ in range(size)]), seed=seed)
    counts = Counter(zip(done.labels, done.column("split"), strict=True))
    for k, size in enumerate(sizes):
        for name, share in default_fractions(sum(sizes)).items():
            assert abs(counts[chr(97 + k), name] - share * size) <= 1


def test_fractions_are_roughly_kept_with_groups():
    random = np.random.default_rng(0)
    groups = random.integers(0, 120, 600)
    done = split(dataset_of(random.choice(["a", "b", "c"], 600).tolist()), groups)
    counts = Counter(done.column("split"))
    assert counts["val"] / 600 == pytest.approx(0.15, abs=0.03)
    assert counts["test"] / 600 == pytest.approx(0.15, abs=0.03)


def test_another_seed_gives_another_split():
    dataset = dataset_of(["a", "b"] * 50)
    assert assignment(split(dataset, seed=1)) != assignment(split(dataset, seed=2))


def test_content_decides_and_not_the_name():
    hashes = [f"{number:064x}" for number in range(40)]
    first = dataset_of(["a", "b"] * 20, sha256=hashes)
    renamed = first.with_column("path", [f"z{number}.png" for number in range(40)])
    assert split(first).column("split") == split(renamed).column("split")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["train", "val", "test"])), min_size=1))
def test_given_splits_never_change(rows):
    dataset = dataset_of([label for label, _ in rows], split=[name for _, name in rows])
    given_names = {name for _, name in rows}
    if "train" not in given_names:
        with pytest.raises(DataError, match="expected 'train'"):
            split(dataset)
        return
    done = split(dataset)
    for (_, before), after in zip(rows, done.column("split"), strict=True):
        assert after == before or (before == "train" and after == "val" and "val" not in given_names)


def test_a_missing_val_is_taken_out_of_train_with_its_groups():
    dataset = dataset_of(["a", "b"] * 40, split=["train"] * 60 + ["test"] * 20)
    groups = np.repeat(np.arange(20), 4)
    done = split(dataset, groups)
    counts = Counter(done.column("split"))
    assert counts["test"] == 20
    assert 6 <= counts["val"] <= 14
    names = np.array(done.column("split")).reshape(20, 4)
    assert (names == names[:, :1]).all()


def test_half_given_splits_are_refused():
    with pytest.raises(DataError, match="1 images have no split"):
        split(dataset_of(["a", "b"], split=["train", None]))


def test_a_class_in_one_group_with_most_images_stays_in_train_or_is_named():
    dataset = dataset_of(["a"] * 30 + ["b"] * 3)
    done = split(dataset, np.array([*range(30), 30, 30, 30]))
    assert done.column("split")[-3:] == ["train"] * 3
    with pytest.raises(DataError, match="no training image is left for b"):
        split(dataset, np.array([*range(30), 30, 30, 30]), fractions={"train": 0.2, "val": 0.6, "test": 0.2})


@pytest.mark.parametrize("fractions", [{"train": 0.5, "val": 0.6}, {"train": 1.2, "val": -0.2}, {}])
def test_fractions_that_make_no_whole_are_refused(fractions):
    with pytest.raises(UsageError, match="sum to 1"):
        split(dataset_of(["a", "b"]), fractions=fractions)


def test_large_sets_hold_out_no_more_than_needed():
    assert default_fractions(1_000_000)["test"] == pytest.approx(0.005)
    assert default_fractions(100) == pytest.approx({"train": 0.7, "val": 0.15, "test": 0.15})


GROUPINGS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 8)), st.one_of(st.none(), st.sampled_from("xyz"))), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(rows=GROUPINGS)
def test_merged_groups_are_the_finest_that_respect_all(rows):
    merged = merge_groups([first for first, _ in rows], [second for _, second in rows]).tolist()
    parent = list(range(len(rows)))

    def root(row):
        while parent[row] != row:
            row = parent[row]
        return row

    for one in range(len(rows)):
        for other in range(one):
            if any(a is not None and a == b for a, b in zip(rows[one], rows[other], strict=True)):
                parent[root(one)] = root(other)
    expected = [root(row) for row in range(len(rows))]
    together = {(merged[a] == merged[b], expected[a] == expected[b]) for a in range(len(rows)) for b in range(a)}
    assert together <= {(True, True), (False, False)}
