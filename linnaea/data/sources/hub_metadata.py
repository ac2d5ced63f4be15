"""Split folders with a metadata file in each, as Hugging Face's `imagefolder` has them.

<https://huggingface.co/docs/datasets/image_dataset>
"""

from pathlib import Path

from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.folders import splits_in
from linnaea.data.sources.table import read_in, table_in
from linnaea.data.sources.trees import Folder, Tree, under
from linnaea.dataset import Dataset


def detects(path: Path) -> bool:
    """Split folders, of which at least one holds a table under a usual name."""
    return path.is_dir() and bool(tables_in(Folder(path)))


def read(path: Path) -> Dataset:
    """`root/{train,val,test}/metadata.{csv,jsonl,parquet}` with `file_name` and `label`; each speaks of its folder."""
    tree = Folder(path)
    return read_in(tree, tables_in(tree))


def tables_in(tree: Tree, below: str = "") -> dict[str, str]:
    """The table in each split folder that has one, with its split."""
    splits = splits_in(tree, below)
    tables = ((table_in(tree, under(below, name)), split) for name, split in splits.items())
    return {table: split for table, split in tables if table is not None}


SOURCES.register(
    "metadata in split folders",
    title="Metadata in split folders",
    meaning="`root/{train,val,test}/metadata.{csv,jsonl,parquet}` with `file_name` and `label`.",
    order=130,
)(Source(detects, read))
