"""Class folders, with or without train/val/test folders above them."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from linnaea.data.datasheet import FILE as DATASHEET
from linnaea.data.sources.assembling import SUFFIXES, assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.split_words import is_unlabelled, splits_among
from linnaea.data.sources.taxonomy import NAME as TAXONOMY
from linnaea.data.sources.taxonomy import beside
from linnaea.data.sources.trees import Folder, Tree, as_text, is_hidden, under
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.images import suffix_of

logger = logging.getLogger("linnaea")
NO_IMAGE = "not an image file"
OTHER_PICTURES = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".ico", ".tga", ".pcx", ".psd", ".svg", ".eps"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".dcm"),
    *(".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
)
BEGINNING = 16  # bytes by which a format is told
NOT_TEXT = "name is not valid UTF-8: rename it"
PLAIN = ("train", "val", "valid", "validation", "test")  # names that need no word on how they were read
EMPTY = "class folder without images"


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
    """Whether the folders in a folder are splits; raises DataError where that cannot be told."""
    return bool(splits_in(tree, below))


def splits_in(tree: Tree, below: str = "") -> dict[str, str]:
    """The split that each folder in a folder is by its name; none where the folders are classes.

    Classes may be called `train` or `test`, too: then their images lie right in them, beside other classes. Raises
    DataError where split folders stand beside a folder of images that is no split.
    """
    names = tree.folders(below)
    found = splits_among(names)
    if not found:
        return {}
    strange = [name for name in names if name not in found and not is_unlabelled(name)]
    strange = [name for name in strange if _holds_images(tree, under(below, name))]
    divided = {"train"} < set(found.values())
    nested = any(_holds_classes(tree, under(below, name)) for name in found)
    if strange and (divided or nested):
        raise DataError(_question(tree.shown(below), found, strange))
    return found if divided or nested or (not strange and "train" in found.values()) else {}


def _holds_images(tree: Tree, folder: str) -> bool:
    return any(reason_to_skip(file[len(folder) + 1 :]) is None for file in tree.files(folder))


def _holds_classes(tree: Tree, folder: str) -> bool:
    """Whether a folder has folders in it, and no image beside them."""
    loose = (name for name, is_file in tree.loose(folder) if is_file)
    return bool(tree.folders(folder)) and not any(reason_to_skip(name) is None for name in loose)


def _question(place: str, found: Mapping[str, str], strange: list[str]) -> str:
    known = ", ".join(f"{name} ({split})" for name, split in found.items())
    several = ", ".join(map(repr, strange[:3])) + (", ..." if len(strange) > 3 else "")
    return (
        f"{place} contains what look like split folders, {known}, beside {several}, which is not the name of a split. "
        "If it is one, rename it to train, val or test; if not, move it elsewhere. If all of these folders are "
        "classes, say so in a table with the columns path,label."
    )


def read_tree(tree: Tree, below: str = "", *, splits: bool) -> Dataset:
    """A dataset from class folders in a folder or an archive, with split folders above them or without."""
    rows: list[tuple[str, str, str | None]] = []
    excluded = loose_files(tree, below)
    if splits:
        found = splits_in(tree, below)
        tell_splits(found)
        for name in tree.folders(below):
            folder, split = under(below, name), found.get(name)
            if split is None:
                reason = "in a folder of images without labels" if is_unlabelled(name) else "outside the split folders"
                excluded += [Excluded(tree.id(file), reason) for file in tree.files(folder)]
                continue
            excluded += loose_files(tree, folder)
            while tree.folders(folder) == [name]:  # as archives are often packed: train/train/cat/1.jpg
                folder = under(folder, name)
                excluded += loose_files(tree, folder)
            _read_classes(tree, folder, split, rows, excluded)
    else:
        _read_classes(tree, below, None, rows, excluded)
    paths, labels, parts = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"path": paths, "label": labels, **({"split": parts} if splits else {})}
    return assemble(columns, [*tree.refused, *excluded], tree.root, taxonomy=beside(tree, below) or {})


def tell_splits(found: Mapping[str, str]) -> None:
    """Say how names of splits were read where they are not the usual ones."""
    if any(name.lower() not in PLAIN for name in found):
        logger.info(f"{', '.join(f'{name!r} is read as {split}' for name, split in found.items())}.")


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
            excluded.append(Excluded(tree.id(folder), EMPTY, label))


def loose_files(tree: Tree, below: str) -> list[Excluded]:
    """What lies right in a folder that should hold folders only, and what is hidden there."""
    return [
        Excluded(tree.id(under(below, name)), "hidden" if is_hidden(name) else "not in a class folder")
        for name, _ in tree.loose(below)
        if name not in (TAXONOMY, DATASHEET)
    ]


def images_in(tree: Tree) -> Iterator[str | Excluded]:
    """The name of each image file in a folder or an archive, and below it, sorted; and what is left out, and why.

    Images in formats that cannot be read are among the images, and so is a file without an ending that begins like
    one: whoever reads them says what they are. Nothing is held in memory.
    """
    for name in tree.files():
        reason = reason_to_skip(name)
        if reason is None or (reason.startswith(NO_IMAGE) and _is_picture(tree, name)):
            yield name
        else:
            yield Excluded(tree.id(name), reason)
    yield from tree.refused  # which a folder knows once it was walked


def _is_picture(tree: Tree, name: str) -> bool:
    """Whether a file that does not end like our images is one of another format, or one without an ending."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix:
        return suffix in OTHER_PICTURES
    try:
        return bool(suffix_of(tree.read(name)[:BEGINNING]))
    except (OSError, DataError):
        return True  # it gets a row that says why it cannot be read


def reason_to_skip(name: str) -> str | None:
    """Why a file is not taken for an image, judged by its name; None if it is."""
    parts = name.split("/")
    if any(map(is_hidden, parts)):
        return "hidden"
    if as_text(name) != name:
        return NOT_TEXT
    stem, dot, ending = parts[-1].rpartition(".")
    suffix = f".{ending}" if stem and dot and ending else ""
    return None if suffix.lower() in SUFFIXES else f"{NO_IMAGE} ({suffix or 'no ending'})"


SOURCES.register(
    "split folders",
    title="Split folders",
    meaning="`root/{train,val,test}/<class>/*` under all their usual names.",
    order=140,
)(Source(detects_splits, read_splits))
SOURCES.register(
    "class folders", title="Class folders", meaning="`root/<class>/*`, also with folders below the class.", order=150
)(Source(detects_classes, read_classes))
