"""Content hashes of many files, each read once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from linnaea.dataset import Dataset, Excluded
from linnaea.runtime.containers import Located
from linnaea.runtime.files import sha256_of
from linnaea.runtime.machine import available_threads
from linnaea.runtime.progress import track


def hashed(*datasets: Dataset) -> list[Dataset]:
    """The datasets with a column `sha256` that is known for every image; a file that several have is read once.

    Hashes that a dataset has already are kept. Files that cannot be read are left out, with the reason.
    """
    wanted = {key: path for dataset in datasets for key, path in _unknown(dataset).items()}
    known = dict(zip(wanted, hash_files(list(wanted.values())), strict=True))
    return [_filled(dataset, known) for dataset in datasets]


def hash_files(paths: Sequence[Located]) -> list[str | Exception]:
    """The SHA-256 of each file, or why it cannot be read."""
    with ThreadPoolExecutor(available_threads()) as pool:
        return list(track(pool.map(_hash, paths), "hashing", len(paths)))


def _unknown(dataset: Dataset) -> dict[tuple[str, str], Located]:
    """The files without a hash, by root and name."""
    root = str(dataset.root.resolve())
    keys = zip(dataset.ids, dataset.paths, _recorded(dataset), strict=True)
    return {(root, name): path for name, path, digest in keys if not digest}


def _recorded(dataset: Dataset) -> Sequence[str | None]:
    return dataset.column("sha256") if dataset.has("sha256") else [None] * len(dataset)


def _filled(dataset: Dataset, known: dict[tuple[str, str], str | Exception]) -> Dataset:
    root = str(dataset.root.resolve())
    found = [digest or known[root, name] for name, digest in zip(dataset.ids, _recorded(dataset), strict=True)]
    unread = [
        Excluded(name, f"cannot be read: {getattr(digest, 'strerror', None) or digest}")
        for name, digest in zip(dataset.ids, found, strict=True)
        if isinstance(digest, Exception)
    ]
    filled = dataset.with_column("sha256", ["" if isinstance(digest, Exception) else digest for digest in found])
    return filled.without(unread) if unread else filled


def _hash(path: Located) -> str | Exception:
    try:
        return sha256_of(path)
    except (OSError, ValueError) as error:  # a damaged member of a packed file is a ValueError
        return error
