"""Image files that are named, and those in folders, shards and archives."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from linnaea.data.sources.archives import detects as is_archive
from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.sources.folders import images_in
from linnaea.data.sources.shards import with_images
from linnaea.data.sources.trees import Folder, Packed
from linnaea.errors import DataError
from linnaea.runtime.arguments import require_there
from linnaea.runtime.containers import Located, Member
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")


def image_files(images: str | Path | Sequence[str | Path]) -> list[Located]:
    """The image files that are named, and those in folders, shards and archives, of which others are counted.

    Raises DataError where there are none.
    """
    return [file for place in places_of(images) for file in images_at(place)]


def places_of(images: str | Path | Sequence[str | Path]) -> list[Path]:
    """What is named; raises DataError for a path that is not there."""
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    require_there(paths)
    return paths


def images_at(place: Path) -> Iterator[Located]:
    """A file itself, or one after the other the image files in a folder, in the shards there, or in an archive.

    What else lies there is counted, with the reasons. Raises DataError where there are no images.
    """
    if not place.is_dir() and not is_archive(place):
        yield place
        return
    shards = with_images(place) if place.is_dir() else []
    inside = {shard.relative_to(place).as_posix() for shard in shards}
    left_out, found = Counter[str](), False
    for tree in _trees(place, shards):
        for one in images_in(tree):
            if isinstance(one, str):
                found = True
                yield Member(tree.path, one) if isinstance(tree, Packed) else tree.root / one
            elif one.path not in inside:
                left_out[one.reason] += 1
    if left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        told = counted(left_out.total(), "file is left out", "files are left out")
        logger.warning(f"{place}: {told}: {reasons}.")
    if not found:
        raise DataError(
            f"{place} has no images: expected files ending in {' '.join(SUFFIXES)} in it or in its subfolders, or tar "
            "files with such."
        )


def _trees(place: Path, shards: Sequence[Path]) -> Iterator[Folder | Packed]:
    yield Folder(place) if place.is_dir() else Packed(place)
    for shard in shards:
        yield Packed(shard, place)
