"""Image files that are named, and those in folders and archives."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from linnaea.data.sources.archives import detects as is_archive
from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.sources.folders import images_in
from linnaea.errors import DataError
from linnaea.runtime.arguments import require_there
from linnaea.runtime.containers import Located
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")


def image_files(images: str | Path | Sequence[str | Path]) -> list[Located]:
    """The image files that are named, and those in folders and archives, of which others are counted.

    Raises DataError where there are none.
    """
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    require_there(paths)
    return [file for path in paths for file in (_within(path) if path.is_dir() or is_archive(path) else [path])]


def _within(place: Path) -> list[Located]:
    found, others = images_in(place)
    if others:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(each.reason for each in others).items())
        left_out = counted(len(others), "file is left out", "files are left out")
        logger.warning(f"{place}: {left_out}: {reasons}.")
    if not found:
        raise DataError(
            f"{place} has no images: expected files ending in {' '.join(SUFFIXES)} in it or in its subfolders."
        )
    return found
