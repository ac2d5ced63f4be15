"""Zip and tar archives with class folders, split folders or a table in them, read without being unpacked."""

from pathlib import Path

from linnaea.data.sources import hub_metadata, table
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.folders import has_splits, loose_files, read_tree
from linnaea.data.sources.trees import Packed, under
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.runtime.containers import CONTAINERS


def detects(path: Path) -> bool:
    """A file with the ending of a zip or tar archive."""
    kinds = [name for name in CONTAINERS if CONTAINERS.about(name).capabilities.get("archive")]
    return path.is_file() and any(CONTAINERS[kind].matches(path.name) for kind in kinds)


def read(path: Path) -> Dataset:
    """`photos.zip`, `photos.tar`, `.tar.gz`, `.tar.xz`: folders or a table as on a disk, in one folder or at the top.

    Members that lead outside, links, devices and what unpacks to far more than it holds are refused and listed.
    """
    tree = Packed(path)
    below = _wrapping(tree)
    found = table.table_in(tree, below)
    tables = {found: None} if found else hub_metadata.tables_in(tree, below)
    if tables:
        return table.read_in(tree, tables)
    if not tree.folders(below):
        raise DataError(
            f"{path} contains {len(tree.names)} readable files and no folder of images: expected a folder per "
            "class, train/ and val/ folders of them, or a table labels.csv."
        )
    return read_tree(tree, below, splits=has_splits(tree, below))


def _wrapping(tree: Packed) -> str:
    """The one folder around everything, if there is one and it is no class: folders or a table lie right in it."""
    below = ""
    while len(folders := tree.folders(below)) == 1 and not has_splits(tree, below) and not table.table_in(tree, below):
        deeper = under(below, folders[0])
        if not tree.folders(deeper) and not table.table_in(tree, deeper):
            break
        tree.refused = [*tree.refused, *loose_files(tree, below)]
        below = deeper
    return below


SOURCES.register(
    "archive",
    title="Archive",
    meaning="`photos.zip`, `photos.tar`, `.tar.gz`, `.tar.xz`: folders or a table as on a disk.",
    order=120,
)(Source(detects, read))
