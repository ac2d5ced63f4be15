"""A check for masks: images of few values beside photos of the same name, which no class should learn from."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from linnaea.data.audit.contract import CHECKS, Inspection, warn_of
from linnaea.data.images.decoding import read_rgb
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import read_content
from linnaea.dataset import Dataset
from linnaea.finding import Finding

JOINS = "_-. "
FEW, RATIO = 16, 4  # values of a mask at most, and how many times more its photo has
SAMPLE, SIDE = 6, 128
COMMON = 0.9  # of a folder's names are in the other folder
Kinds = dict[tuple[str, str], list[tuple[int, int]]]


@CHECKS.register("masks", title="Masks", order=130)
def masks(inspection: Inspection) -> Finding | None:
    """Images of a few plain colours that are named like a photo beside them (`cat_mask.png`, `masks/cat.png`)."""
    dataset = inspection.dataset
    found = {kind: pairs for kind, pairs in _candidates(dataset.ids).items() if _are_masks(dataset, pairs)}
    if not found:
        return None
    rows = sorted({row for pairs in found.values() for row, _ in pairs})
    table = inspection.rows(rows)
    return warn_of(
        "masks",
        f"{len(rows)} of {len(dataset)} images look like masks of other images (first {table[0]['path']}, of "
        f"{dataset.ids[next(iter(found.values()))[0][1]]}): they have few colours and are named after a photo. They "
        "would be learned as if they were photos: move them out of the folder, or list only the photos in a "
        "labels.csv.",
        table,
    )


def _candidates(ids: Sequence[str]) -> Kinds:
    """Rows with the row of the photo they are named after: by the ending of the stem, or by the two folders."""
    paths = [PurePosixPath(path) for path in ids]
    row_of = {(str(path.parent), path.stem): row for row, path in enumerate(paths)}
    kinds: Kinds = defaultdict(list)
    for row, path in enumerate(paths):
        for stem in _beginnings(path.stem):
            if (other := row_of.get((str(path.parent), stem))) is not None:
                kinds[path.stem[len(stem) :], ""].append((row, other))
    return kinds | _beside(paths)


def _beginnings(stem: str) -> Iterator[str]:
    return (stem[:place] for place, letter in enumerate(stem) if place and letter in JOINS)


def _beside(paths: Sequence[PurePosixPath]) -> Kinds:
    """The same of folders next to each other that hold files of the same names."""
    folders: dict[PurePosixPath, dict[str, int]] = defaultdict(dict)
    for row, path in enumerate(paths):
        folders[path.parent][path.stem] = row
    siblings: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for folder in folders:
        siblings[folder.parent].append(folder)
    kinds: Kinds = {}
    for folder, named in folders.items():
        for other in siblings[folder.parent]:
            pairs = [(row, folders[other][stem]) for stem, row in named.items() if stem in folders[other]]
            if other != folder and len(pairs) >= COMMON * len(named):
                kinds[str(folder), str(other)] = pairs
                break
    return kinds


def _are_masks(dataset: Dataset, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether all of a few of these have few values, and fewer than their photos."""
    for row, other in pairs[:: max(1, len(pairs) // SAMPLE)]:
        values = _values(dataset, row)
        if values > FEW or values * RATIO > _values(dataset, other):
            return False
    return True


def _values(dataset: Dataset, row: int) -> int:
    """How many colours an image has; as good as any number where it cannot be read."""
    try:
        pixels = np.asarray(read_rgb(read_content(dataset.paths[row]), SIDE)).reshape(-1, 3)
    except UnreadableError:
        return FEW + 1
    return len(np.unique(pixels @ np.array([1, 256, 65536])))
