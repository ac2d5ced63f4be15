"""Pixels that were decoded before, by the content of their file and the recipe that decoded it."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import features

from linnaea.data import decoding
from linnaea.runtime.cache import cached
from linnaea.runtime.store import Stamp, Store

Images = npt.NDArray[np.uint8]


def recall(paths: Sequence[Path], size: int, fit: str, out: Images) -> list[str]:
    """Copy what is known of the files into `out` (N, S, S, 3); their SHA-256, and "" where they must be decoded.

    A file is known when its path, size, time of change and inode are those of a file that was decoded before.
    """

    def look(store: Store) -> list[str]:
        hashes = store.hashes([stamp_of(path) for path in paths])
        known = [row for row, digest in enumerate(hashes) if digest]
        digests = [str(hashes[row]) for row in known]
        if len(known) == len(paths):
            found = store.find(_namespace(size, fit), digests, out)
        else:
            rows = np.empty((len(known), *out.shape[1:]), dtype=out.dtype)
            found = store.find(_namespace(size, fit), digests, rows)
            out[np.array(known, dtype=np.int64)[found]] = rows[found]
        there = {row: digest for row, digest, is_there in zip(known, digests, found.tolist(), strict=True) if is_there}
        return [there.get(row, "") for row in range(len(paths))]

    return cached(look, otherwise=[""] * len(paths))


def keep(paths: Sequence[Path], sha256: Sequence[str], size: int, fit: str, images: Images) -> None:
    """Keep the pixels (N, S, S, 3) of these files for the next time."""

    def write(store: Store) -> None:
        store.add(_namespace(size, fit), sha256, images)
        stamps = [(stamp, digest) for path, digest in zip(paths, sha256, strict=True) if (stamp := stamp_of(path))]
        store.remember([stamp for stamp, _ in stamps], [digest for _, digest in stamps])

    cached(write, otherwise=None)


def stamp_of(path: Path) -> Stamp | None:
    """What the file system says of the file; None where it is gone."""
    try:
        return Stamp.of(path)
    except OSError:
        return None


@lru_cache
def _namespace(size: int, fit: str) -> str:
    """The recipe and everything else that decides about a pixel: our decoder's source, Pillow and its libraries."""
    libraries = [str(features.version(name)) for name in ("jpg", "zlib", "libtiff", "webp")]
    source = Path(decoding.__file__).read_bytes()
    decoder = hashlib.sha256(source + " ".join([PIL.__version__, *libraries]).encode()).hexdigest()[:12]
    return f"pixels {size} {fit} {decoder}"
