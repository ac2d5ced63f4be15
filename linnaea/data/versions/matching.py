"""Which image of one version is which of the other: by content first, then by name."""

from collections import defaultdict
from collections.abc import Sequence

from linnaea.dataset import Dataset

Pair = tuple[int, int]
Keys = dict[int, tuple[str, ...]]


def match(first: Dataset, second: Dataset) -> list[Pair]:
    """Rows of the first dataset with rows of the second that are the same image; each row is in one pair at most.

    The same content under the same name comes first, then the same content under another name, then the same name
    with another content; `sha256` is known for all. The pairs are independent of the order of the rows.
    """
    pairs = _by(_keys(first, "sha256", "path"), _keys(second, "sha256", "path"))
    pairs += _by(_rest(_keys(first, "sha256"), pairs, 0), _rest(_keys(second, "sha256"), pairs, 1))
    pairs += _by(_rest(_keys(first, "path"), pairs, 0), _rest(_keys(second, "path"), pairs, 1))
    return pairs


def _keys(dataset: Dataset, *names: str) -> Keys:
    """The values of these columns by row; rows in the order of their paths."""
    values = list(zip(*(dataset.column(name) for name in names), strict=True))
    ids = dataset.ids
    return {row: values[row] for row in sorted(range(len(dataset)), key=ids.__getitem__)}


def _rest(keys: Keys, pairs: Sequence[Pair], side: int) -> Keys:
    """What no pair has yet."""
    taken = {pair[side] for pair in pairs}
    return {row: key for row, key in keys.items() if row not in taken}


def _by(first: Keys, second: Keys) -> list[Pair]:
    """Pair rows with equal keys, in their order."""
    waiting: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, key in reversed(second.items()):
        waiting[key].append(row)
    return [(row, waiting[key].pop()) for row, key in first.items() if waiting.get(key)]
