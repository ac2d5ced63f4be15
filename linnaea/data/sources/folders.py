"""Class folders, with or without train/val/test folders above them."""

from pathlib import Path

from linnaea.data.datasheet import FILE as DATASHEET
from linnaea.data.sources.assembling import SUFFIXES, assemble
from linnaea.data.sources.taxonomy import NAME as TAXONOMY
from linnaea.data.sources.taxonomy import beside
from linnaea.data.sources.trees import Folder, Packed, Tree, as_text, is_hidden, under
from linnaea.dataset import Dataset, Excluded
from linnaea.runtime.containers import Located, locate

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
NOT_TEXT = "name is not valid UTF-8: rename it"
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}


def detects_splits(path: Path) -> bool:
    """Train folder alone or with a val or test folder; a class called "train" among other classes is no split."""
    return path.is_dir() and has_splits(Folder(path))


def detects_classes(path: Path) -> bool:
    """Any visible sub-folder."""
    return path.is_dir() and bool(Folder(path).folders())


def read_splits(path: Path) -> Dataset:
    """`root/{train,val,test}/<class>/*` under all their usual names."""
    return read_tree(Folder(path), splits=True)


def read_classes(path: Path) -> Dataset:
    """`root/<class>/*`, also with folders below the class."""
    return read_tree(Folder(path), splits=False)


def has_splits(tree: Tree, below: str = "") -> bool:
    """Whether a folder is divided into a train folder and others, or holds a train folder alone."""
    found = {SPLIT_OF.get(name.lower()) for name in tree.folders(below)}
    return "train" in found and (bool(found & {"val", "test"}) or found == {"train"})


def read_tree(tree: Tree, below: str = "", *, splits: bool) -> Dataset:
    """A dataset from class folders in a folder or an archive, with split folders above them or without."""
    rows: list[tuple[str, str, str | None]] = []
    excluded = [*tree.refused, *loose_files(tree, below)]
    if splits:
        for name in tree.folders(below):
            folder, split = under(below, name), SPLIT_OF.get(name.lower())
            if split is None:
                excluded += [Excluded(tree.id(file), "outside the split folders") for file in tree.files(folder)]
                continue
            excluded += loose_files(tree, folder)
            _read_classes(tree, folder, split, rows, excluded)
    else:
        _read_classes(tree, below, None, rows, excluded)
    paths, labels, parts = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"path": paths, "label": labels, **({"split": parts} if splits else {})}
    return assemble(columns, excluded, tree.root, taxonomy=beside(tree, below) or {})


def _read_classes(
    tree: Tree, below: str, split: str | None, rows: list[tuple[str, str, str | None]], excluded: list[Excluded]
) -> None:
    for name in tree.folders(below):
        folder, label, before = under(below, name), as_text(name), len(rows)
        for file in tree.files(folder):
            reason = reason_to_skip(file[len(folder) + 1 :]) or (None if label == name else NOT_TEXT)
            if reason:
                excluded.append(Excluded(tree.id(file), reason, label))
            else:
                rows.append((tree.id(file), label, split))
        if len(rows) == before:
            excluded.append(Excluded(tree.id(folder), "class folder without images", label))


def loose_files(tree: Tree, below: str) -> list[Excluded]:
    """What lies right in a folder that should hold folders only, and what is hidden there."""
    return [
        Excluded(tree.id(under(below, name)), "hidden" if is_hidden(name) else "not in a class folder")
        for name, _ in tree.loose(below)
        if name not in (TAXONOMY, DATASHEET)
    ]


def images_in(place: Path) -> list[Located]:
    """Every image file in a folder or an archive, and below it, sorted, apart from hidden ones."""
    tree = Folder(place) if place.is_dir() else Packed(place)
    return locate(tree.root, [tree.id(name) for name in tree.files() if reason_to_skip(name) is None])


def reason_to_skip(name: str) -> str | None:
    """Why a file is not taken for an image, judged by its name; None if it is."""
    parts = name.split("/")
    if any(map(is_hidden, parts)):
        return "hidden"
    if as_text(name) != name:
        return NOT_TEXT
    stem, dot, ending = parts[-1].rpartition(".")
    suffix = f".{ending}" if stem and dot and ending else ""
    return None if suffix.lower() in SUFFIXES else f"not an image file ({suffix or 'no ending'})"
