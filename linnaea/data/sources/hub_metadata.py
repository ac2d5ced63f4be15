"""Split folders with a metadata file in each, as Hugging Face's `imagefolder` has them.

<https://huggingface.co/docs/datasets/image_dataset>
"""

from pathlib import Path

from linnaea.data.sources.folders import SPLIT_OF, has_splits
from linnaea.data.sources.table import read_in, table_in
from linnaea.data.sources.trees import Folder, Tree, under
from linnaea.dataset import Dataset


def detects(path: Path) -> bool:
    """Split folders, of which at least one holds a table under a usual name."""
    return path.is_dir() and bool(tables_in(Folder(path)))


def read(path: Path) -> Dataset:
    """`root/{train,val,test}/metadata.{csv,jsonl,parquet}` with `file_name` and `label`; each speaks of its folder."""
    tree = Folder(path)
    return read_in(tree, *tables_in(tree), by_folder=True)


def tables_in(tree: Tree, below: str = "") -> list[str]:
    """The table in each split folder that has one."""
    if not has_splits(tree, below):
        return []
    folders = [name for name in tree.folders(below) if name.lower() in SPLIT_OF]
    return [table for name in folders if (table := table_in(tree, under(below, name)))]
