"""Images that join others which have their splits already."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.data.splits import fill_splits
from linnaea.dataset import SPLITS, Dataset
from linnaea.errors import DataError

PARTS = st.sampled_from([*SPLITS, None, None])


def dataset(labels, splits):
    table = pa.table(
        {
            "path": [f"{row:03}.png" for row in range(len(labels))],
            "label": labels,
            "split": pa.array(splits, pa.string()),
        }
    )
    return Dataset(table, tuple(sorted(set(labels))), "multiclass", Path())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), PARTS, st.integers(0, 9)), min_size=12, max_size=60))
def test_given_splits_stay_and_groups_stay_together(rows):
    labels, splits, groups = (list(column) for column in zip(*rows, strict=True))
    try:
        filled = fill_splits(dataset(labels, splits), np.array(groups), seed=1).column("split")
    except DataError:  # some class has no group, or one alone, that was free to go to train
        known = {name: {split for _, split, group in rows if group == name} for name in groups}
        held = {name for name, parts in known.items() if parts & {"val", "test"}}
        trained = {label for label, split, _ in rows if split == "train"}
        free = [{group for label, _, group in rows if label == name} - held for name in set(labels) - trained]
        assert any(len(own) <= 1 for own in free)
        return
    assert set(filled) <= set(SPLITS)
    assert [new for new, old in zip(filled, splits, strict=True) if old] == [old for old in splits if old]
    for group in set(groups):
        own = [(old, new) for old, new, number in zip(splits, filled, groups, strict=True) if number == group]
        given_parts = {old for old, _ in own if old}
        joined = {new for old, new in own if old is None}
        assert len(joined) <= 1
        if given_parts and joined:
            assert joined == {min(given_parts, key=SPLITS.index)}


def test_images_of_their_own_are_dealt_out_like_any():
    labels = ["a"] * 40 + ["b"] * 40
    splits = ["train"] * 28 + ["val"] * 6 + ["test"] * 6 + [None] * 40
    filled = fill_splits(dataset(labels, splits), np.arange(80)).column("split")
    assert [filled[40:].count(name) for name in SPLITS] == [28, 6, 6]
