"""MNIST, Fashion-MNIST and their kin: pairs of IDX files, images and labels, plain or packed by gzip.

<http://yann.lecun.com/exdb/mnist/>, <https://github.com/zalandoresearch/fashion-mnist>
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.data.sources.assembling import assemble, numbered
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.runtime.containers.idx import read_idx

IMAGES = re.compile(r"^(?P<set>.*?)[-.]images[-.]idx3-ubyte(?P<packed>\.gz)?$")
Labels = npt.NDArray[np.uint8]
SPLITS = {"train": "train", "t10k": "test", "test": "test", "val": "val"}
CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def detects(path: Path) -> bool:
    """An IDX file of images, or a folder with one in it."""
    return bool(_image_files(path))


def read(path: Path) -> Dataset:
    """`train-images-idx3-ubyte.gz` with `train-labels-idx1-ubyte.gz`, and `t10k-...` as test.

    Classes are numbers; in a folder with "fashion" in its name they are the ten kinds of clothes.
    """
    files = _image_files(path)
    folder = files[0].parent
    splits = [_split(file) for file in files]
    if len(set(splits)) < len(splits):
        raise DataError(
            f"{folder} contains several sets, {', '.join(file.name for file in files)}: name one of the files."
        )
    parts = [_labels(file) for file in files]
    counts, labels = [len(part) for part in parts], np.concatenate(parts)
    columns: dict[str, Any] = {"path": numbered(files, counts), "label": np.array(_names(folder, labels))[labels]}
    if None not in splits:
        columns["split"] = np.repeat(np.array(splits), counts)
    return assemble(columns, (), folder, taxonomy={}, in_order=True)


def _image_files(path: Path) -> list[Path]:
    """The files of images; of two, packed and plain, the plain one."""
    if path.is_file():
        return [path] if IMAGES.match(path.name) else []
    found = sorted(file for file in path.iterdir() if IMAGES.match(file.name)) if path.is_dir() else []
    return sorted(
        (file for file in found if not (file.suffix == ".gz" and file.with_suffix("") in found)),
        key=lambda file: (_split(file) != "train", file.name),
    )


def _split(file: Path) -> str | None:
    named = IMAGES.match(file.name)
    assert named is not None, "only files of images come here"
    return SPLITS.get(re.split(r"[-.]", named["set"])[-1].lower())


def _labels(file: Path) -> Labels:
    """The labels that belong to a file of images, as many as it has."""
    stem = re.sub(r"images([-.])idx3-ubyte(\.gz)?$", r"labels\1idx1-ubyte", file.name)
    found = next((place for name in (stem, f"{stem}.gz") if (place := file.with_name(name)).is_file()), None)
    if found is None:
        raise DataError(f"{file} has no labels beside it: expected {stem} or {stem}.gz.")
    labels, images = read_idx(found, 1), read_idx(file, 3)
    if len(labels) != len(images):
        raise DataError(
            f"{found} has {len(labels):,} labels, but {file.name} has {len(images):,} images: expected one label per "
            "image."
        )
    return labels


def _names(folder: Path, labels: Labels) -> Sequence[str]:
    highest = int(labels.max(initial=0))
    if not any("fashion" in name.lower() for name in folder.resolve().parts[-2:]):
        return [str(number) for number in range(highest + 1)]
    if highest >= len(CLOTHES):
        raise DataError(f"{folder} has the label {highest}; Fashion-MNIST has labels from 0 to {len(CLOTHES) - 1}.")
    return CLOTHES


SOURCES.register(
    "IDX",
    title="IDX",
    meaning="`train-images-idx3-ubyte.gz` with `train-labels-idx1-ubyte.gz`, and `t10k-...` as test.",
    order=70,
)(Source(detects, read))
