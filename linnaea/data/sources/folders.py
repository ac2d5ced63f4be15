"""Class folders, with or without train/val/test folders above them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.task import infer_task

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind rather than one a person put there."""
    return name.startswith(".") or name in LITTER


def visible_folders(root: Path) -> list[Path]:
    """The sub-folders a person made, sorted by name."""
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def detects_splits(root: Path) -> bool:
    """Train folder alone or with a val or test folder; a class called "train" among other classes is no split."""
    found = {SPLIT_OF.get(folder.name.lower()) for folder in visible_folders(root)} if root.is_dir() else set()
    return "train" in found and (bool(found & {"val", "test"}) or found == {"train"})


def detects_classes(root: Path) -> bool:
    """Any visible sub-folder."""
    return root.is_dir() and bool(visible_folders(root))


def read_splits(root: Path) -> Dataset:
    """`root/{train,val,test}/<class>/*` under all their usual names."""
    rows, excluded = [], list(_loose_files(root))
    for folder in visible_folders(root):
        split = SPLIT_OF.get(folder.name.lower())
        if split is None:
            excluded += [Excluded(_relative(file, root), "outside the split folders") for file in _files(folder)]
            continue
        found, left = _read_classes(folder, root)
        rows += [{**row, "split": split} for row in found]
        excluded += left
    return build(rows, excluded, root)


def read_classes(root: Path) -> Dataset:
    """`root/<class>/*`, also with folders below the class."""
    rows, excluded = _read_classes(root, root)
    return build(rows, excluded, root)


def build(rows: list[dict[str, str]], excluded: list[Excluded], root: Path) -> Dataset:
    """A dataset from rows with at least `path` and `label`; classes in the order of their names, train's first."""
    if not rows:
        reasons = sorted({entry.reason for entry in excluded})
        seen = f"; {len(excluded)} files were left out ({', '.join(reasons[:3])})" if excluded else ""
        raise DataError(
            f"{root} holds no images{seen}: expected files ending in {' '.join(SUFFIXES)} in class folders."
        )
    rows.sort(key=lambda row: row["path"])
    trained = {row["label"] for row in rows if row.get("split", "train") == "train"}
    classes = (*sorted(trained), *sorted({row["label"] for row in rows} - trained))
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    return Dataset(table, classes, infer_task(classes), root, tuple(excluded))


def _read_classes(folder: Path, root: Path) -> tuple[list[dict[str, str]], list[Excluded]]:
    rows, excluded = [], list(_loose_files(folder, root))
    for class_folder in visible_folders(folder):
        images = 0
        for file in _files(class_folder):
            path = _relative(file, root)
            reason = _reason_to_skip(file, class_folder)
            if reason:
                excluded.append(Excluded(path, reason, class_folder.name))
            else:
                rows.append({"path": path, "label": class_folder.name})
                images += 1
        if not images:
            excluded.append(Excluded(_relative(class_folder, root), "class folder without images", class_folder.name))
    return rows, excluded


def _loose_files(folder: Path, root: Path | None = None) -> Iterator[Excluded]:
    for entry in sorted(folder.iterdir()):
        path = _relative(entry, root or folder)
        if is_hidden(entry.name):
            yield Excluded(path, "hidden")
        elif entry.is_file():
            yield Excluded(path, "not in a class folder")


def images_in(folder: Path) -> list[Path]:
    """Every image file in a folder and below it, sorted, apart from hidden ones."""
    return [file for file in _files(folder) if _reason_to_skip(file, folder) is None]


def _files(folder: Path) -> Iterator[Path]:
    visited: set[str] = set()
    for parent, below, names in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(parent))
        below[:] = sorted(name for name in below if os.path.realpath(os.path.join(parent, name)) not in visited)  # noqa: PTH118
        yield from (Path(parent) / name for name in sorted(names))


def _reason_to_skip(file: Path, class_folder: Path) -> str | None:
    if any(is_hidden(part) for part in file.relative_to(class_folder).parts):
        return "hidden"
    if not _is_text(file.name):
        return "name is not valid UTF-8: rename it"
    if file.suffix.lower() not in SUFFIXES:
        return f"not an image file ({file.suffix or 'no ending'})"
    return None


def _relative(file: Path, root: Path) -> str:
    """The path below the root; bytes of a name that are no UTF-8 are shown as question marks."""
    return os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "replace")


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
