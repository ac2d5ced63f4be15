"""What changed between two versions of a dataset; nothing here needs torch."""

from dataclasses import replace
from pathlib import Path

from linnaea.data.sources import read
from linnaea.data.versions.changes import Diff
from linnaea.data.versions.changes import diff as compare_versions
from linnaea.dataset import Dataset
from linnaea.run import Run

Data = str | Path | Dataset


def compared(first: Data | Run, second: Data | Run) -> Diff:
    """What changed from one version of a dataset to another; see `linnaea.diff`."""
    return compare_versions(_version(first), _version(second), (_named(first, "first"), _named(second, "second")))


def _version(source: Data | Run) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if isinstance(source, Run) or Run.is_in(source):
        return (source if isinstance(source, Run) else Run.open(source)).dataset()
    dataset = read(source)
    if Path(source).is_dir() and dataset.has("sha256"):  # a manifest in it says what was there, not what is
        return replace(dataset, table=dataset.table.drop_columns(["sha256"]))
    return dataset


def _named(source: Data | Run, otherwise: str) -> str:
    if isinstance(source, Dataset):
        return otherwise
    return str(source.folder if isinstance(source, Run) else source)
