"""Street View House Numbers, cropped digits, as Matlab files (Netzer et al. 2011).

<http://ufldl.stanford.edu/housenumbers/>
"""

from pathlib import Path
from typing import Any

import numpy as np

from linnaea.data.sources.assembling import assemble, numbered
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.runtime.containers.svhn import read_svhn

FILES = {"train_32x32.mat": "train", "extra_32x32.mat": "train", "test_32x32.mat": "test"}


def detects(path: Path) -> bool:
    """One of the files of the set, or a folder with one of them."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """`train_32x32.mat` and `test_32x32.mat`; `extra_32x32.mat` belongs to train. The label 10 is the digit 0."""
    files = _files(path)
    parts = [read_svhn(file)[1] for file in files]
    counts, labels = [len(part) for part in parts], np.concatenate(parts)
    strange = labels[(labels < 0) | (labels > 10)]
    if len(strange):
        raise DataError(f"{path} has the label {strange[0]}; expected 1 to 9, and 10 for the digit 0.")
    columns: dict[str, Any] = {
        "path": numbered(files, counts),
        "label": np.array([str(number % 10) for number in range(11)])[labels],
        "split": np.repeat([FILES[file.name] for file in files], counts),
    }
    return assemble(columns, (), files[0].parent, taxonomy={}, in_order=True)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name in FILES else []
    return [path / name for name in FILES if (path / name).is_file()]


SOURCES.register(
    "SVHN",
    title="SVHN",
    meaning="`train_32x32.mat` and `test_32x32.mat`; `extra_32x32.mat` belongs to train. The label 10 is the digit 0.",
    order=90,
)(Source(detects, read))
