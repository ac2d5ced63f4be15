"""What the audit needs to know of every image, from one pass over the files; what did not change is not read again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float32, Images
from linnaea.data.duplicates.grouping import THUMBNAIL, thumbnail_of
from linnaea.data.images.appearance import Looks, measure
from linnaea.data.images.cache import keep, recall, stamp_of
from linnaea.data.images.decoding import read_rgb, require_channels, square
from linnaea.data.images.headers import RECORD_BYTES, Facts, read_facts
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import Opened, Recipe, fill_rows, read_content
from linnaea.errors import UnreadableImageError
from linnaea.runtime.containers import Located
from linnaea.runtime.progress import track

Records = npt.NDArray[Any]
VERSION = 7
BYTES_AT_ONCE = 256 * 2**20  # of pixels


@dataclass(frozen=True)
class Embedding:
    """How images (N, S, S, 3) of uint8 become features (N, `width`); equal names give equal features.

    `pretrained` says whether a pretrained network makes them.
    """

    name: str
    width: int
    embed: Callable[[Images], Float32]
    pretrained: bool = False


@dataclass(frozen=True)
class Digest(Opened):
    """Of every file: SHA-256, thumbnail (N, 32, 32, 3), facts, looks, features (N, D), empty where one failed."""

    sha256: list[str]
    records: Records
    failed: dict[int, str]

    @property
    def thumbnails(self) -> Images:
        """Each whole image, stretched (N, 32, 32, 3)."""
        return np.asarray(self.records["thumbnail"])

    @property
    def features(self) -> Float32:
        """What the embedding made of each image (N, D)."""
        return np.asarray(self.records["features"])

    @property
    def looks(self) -> Looks:
        """Measured on each image."""
        return Looks.from_rows(self.records["looks"])

    @property
    def facts(self) -> list[Facts]:
        """Read from each file's header."""
        return [Facts.from_record(record) for record in self.records["facts"]]

    def take(self, rows: Sequence[int]) -> "Digest":
        """The rows at these positions, all of which were read."""
        return Digest([self.sha256[row] for row in rows], self.records[list(rows)], {})


def digest(paths: Sequence[Located], recipe: Recipe, embedding: Embedding) -> Digest:
    """Read, decode, measure and embed every file, a part at a time; take from the cache what is known of it."""
    records = np.zeros(len(paths), dtype=_layout(embedding.width))
    namespace = f"digest {VERSION} {recipe.namespace} {embedding.name}"
    sha256, failed = recall(paths, namespace, records), {}
    missing = [row for row, digest in enumerate(sha256) if not digest]
    at_once = max(1, BYTES_AT_ONCE // (3 * recipe.size**2))
    parts = [missing[start : start + at_once] for start in range(0, len(missing), at_once)]
    for part in track(parts, "looking", len(parts)):
        stamps = {row: stamp_of(paths[row]) for row in part}
        images = np.zeros((len(part), recipe.size, recipe.size, 3), dtype=np.uint8)

        def look(place: int, part: list[int] = part, images: Images = images) -> None:
            row = part[place]
            try:
                images[place], sha256[row] = _examine(read_content(paths[row]), recipe, records[row : row + 1])
            except (UnreadableError, UnreadableImageError) as error:
                failed[row] = str(error)

        for _ in fill_rows(look, range(len(part))):
            pass
        read = [place for place, row in enumerate(part) if sha256[row]]
        if read:
            rows = [part[place] for place in read]
            records["features"][rows] = embedding.embed(images[read])
            keep([stamps[row] for row in rows], [sha256[row] for row in rows], namespace, records[rows])
    return Digest(sha256, records, dict(sorted(failed.items())))


def _examine(content: bytes, recipe: Recipe, record: Records) -> tuple[Images, str]:
    """Fill a record (1,) with all but the features; the image's pixels and the SHA-256 of its file."""
    require_channels(content, recipe.channels)
    image = read_rgb(content, recipe.size, recipe.bounds)
    thumbnail = thumbnail_of(image)
    facts = read_facts(content, recipe.max_pixels)
    longest = max(facts.width, facts.height)
    full = image if max(image.size) == longest else read_rgb(content, longest, recipe.bounds)
    record["thumbnail"], record["looks"] = thumbnail, measure(image, thumbnail, full)
    record["facts"] = facts.to_record()
    return np.asarray(square(image, recipe.size, recipe.fit)), hashlib.sha256(content).hexdigest()


def _layout(width: int) -> npt.DTypeLike:
    return np.dtype(
        [
            ("facts", np.uint8, RECORD_BYTES),
            ("looks", np.float32, 6),
            ("thumbnail", np.uint8, (THUMBNAIL, THUMBNAIL, 3)),
            ("features", np.float32, width),
        ]
    )
