"""CIFAR-10 and CIFAR-100, in their binary form or pickled for Python; nothing in a pickle is executed.

<https://www.cs.toronto.edu/~kriz/cifar.html>
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.data.sources.assembling import assemble, numbered
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.runtime.containers.cifar import read_binary, read_pickled
from linnaea.runtime.containers.pickles import read_pickle
from linnaea.runtime.text import decoded, read_text

Labels = npt.NDArray[np.int64]
ENDINGS = ("", ".bin")


@dataclass(frozen=True)
class Form:
    """One of the four forms: the files of each split, how labels (N, 1 or 2) and names of classes are read.

    CIFAR-100 has two labels per image, the group (coarse) and the class (fine). `beside` is a file that must be there
    too, where the names of the others alone say little.
    """

    train: str
    test: str
    labels: Callable[[Path], Labels]
    names: Callable[[Path], list[list[str]]]
    beside: str = ""


def _from_binary(file: Path) -> Labels:
    return read_binary(file)[0].astype(np.int64)


def _from_pickle(file: Path) -> Labels:
    batch = read_pickled(file)
    columns = [batch[name] for name in ("labels", "coarse_labels", "fine_labels") if name in batch]
    labels = np.array(columns, dtype=np.int64).T
    if labels.ndim != 2 or labels.shape[0] != len(batch["data"]):
        raise DataError(f"{file} has {len(batch['data'])} images and a different number of labels: it is damaged.")
    return labels


def _text(*files: str) -> Callable[[Path], list[list[str]]]:
    def names(folder: Path) -> list[list[str]]:
        return [read_text(folder / file).split() if (folder / file).is_file() else [] for file in files]

    return names


def _pickled(file: str, *keys: str) -> Callable[[Path], list[list[str]]]:
    def names(folder: Path) -> list[list[str]]:
        content = read_pickle(folder / file) if (folder / file).is_file() else {}
        return [[_plain(name) for name in content.get(key, content.get(key.encode(), []))] for key in keys]

    return names


def _plain(name: Any) -> str:
    return decoded(name, "the name of a class") if isinstance(name, bytes) else str(name)


FORMS = (
    Form("data_batch_*.bin", "test_batch.bin", _from_binary, _text("batches.meta.txt")),
    Form("train.bin", "test.bin", _from_binary, _text("coarse_label_names.txt", "fine_label_names.txt")),
    Form("data_batch_[0-9]*", "test_batch", _from_pickle, _pickled("batches.meta", "label_names")),
    Form("train", "test", _from_pickle, _pickled("meta", "coarse_label_names", "fine_label_names"), "meta"),
)


def detects(path: Path) -> bool:
    """A folder with the batches of one of the four forms."""
    return path.is_dir() and _form(path) is not None


def read(path: Path) -> Dataset:
    """`data_batch_*.bin` and `test_batch.bin`, or CIFAR-100's `train.bin` and `test.bin`, or the same pickled.

    Names come from the file beside them. CIFAR-100 has its fine classes, with the coarse ones as taxonomy.
    """
    form = _form(path)
    if form is None:
        raise DataError(f"{path} contains no CIFAR batches.")
    split_of = {file: split for split in ("train", "test") for file in _batches(path, getattr(form, split))}
    files, parts = list(split_of), [form.labels(file) for file in split_of]
    counts, labels = [len(part) for part in parts], np.concatenate(parts)
    lists = form.names(path)
    named = [_named(column, names, path) for column, names in zip(labels.T, lists, strict=True)]
    columns = {
        "path": numbered(files, counts),
        "label": named[-1],
        "split": np.repeat(list(split_of.values()), counts),
    }
    taxonomy = _groups(named[1], named[0], path) if len(named) == 2 and all(lists) else {}
    return assemble(columns, (), path, taxonomy=taxonomy, in_order=True)


def _form(folder: Path) -> Form | None:
    return next(
        (
            form
            for form in FORMS
            if (folder / form.beside).exists() and (_batches(folder, form.train) or _batches(folder, form.test))
        ),
        None,
    )


def _batches(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.is_file() and file.suffix in ENDINGS)


def _named(labels: Labels, names: Sequence[str], folder: Path) -> npt.NDArray[np.str_]:
    """The names of the labels; their numbers where there is no file of names."""
    highest = int(labels.max(initial=0))
    if names and highest >= len(names):
        raise DataError(
            f"{folder} has the label {highest}, but names for only {len(names)} classes: expected one for each."
        )
    return np.array(names or [str(number) for number in range(highest + 1)])[labels]


def _groups(fine: npt.NDArray[np.str_], coarse: npt.NDArray[np.str_], folder: Path) -> dict[str, str]:
    pairs = np.unique(np.stack([fine, coarse], axis=1), axis=0).tolist()
    if len({child for child, _ in pairs}) < len(pairs):
        raise DataError(f"{folder} puts one fine class in several coarse ones: its labels are damaged.")
    return dict(pairs)


SOURCES.register(
    "CIFAR",
    title="CIFAR",
    meaning="`data_batch_*.bin` and `test_batch.bin`, or CIFAR-100's `train.bin` and `test.bin`, or the same pickled.",
    order=80,
)(Source(detects, read))
