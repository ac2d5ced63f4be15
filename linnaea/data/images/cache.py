"""What was made of a file before: found again by the file's content and the name of what made it."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import PIL
from PIL import features

from linnaea.arrays import Array
from linnaea.data.images import bands, damage, decoding, opening
from linnaea.runtime.cache import cached
from linnaea.runtime.containers import MARK, Located, Member
from linnaea.runtime.store import Stamp, Store


def recall(paths: Sequence[Located], namespace: str, out: Array) -> list[str]:
    """Copy the rows that are known into `out` (N, ...); the SHA-256 of their files, and "" where nothing is known.

    A file is known when its path, size, time of change and inode are those of a file that was read before.
    """

    def look(store: Store) -> list[str]:
        hashes = [digest or "" for digest in store.hashes([stamp_of(path) for path in paths])]
        found = store.find(namespace, hashes, out)
        return [digest if is_there else "" for digest, is_there in zip(hashes, found.tolist(), strict=True)]

    return cached(look, otherwise=[""] * len(paths))


def keep(stamps: Sequence[Stamp | None], sha256: Sequence[str], namespace: str, rows: Array) -> None:
    """Keep what was made of files (N, ...) for the next time; the stamps are from before each was read."""

    def write(store: Store) -> None:
        store.add(namespace, sha256, rows)
        known = [(stamp, digest) for stamp, digest in zip(stamps, sha256, strict=True) if stamp]
        store.remember([stamp for stamp, _ in known], [digest for _, digest in known])

    cached(write, otherwise=None)


def stamp_of(path: Located) -> Stamp | None:
    """What the file system says of the file, or of the packed file around it; None where it is gone."""
    try:
        return Stamp.of(path.container, MARK + path.inner) if isinstance(path, Member) else Stamp.of(path)
    except OSError:
        return None


@lru_cache
def decoder_version() -> str:
    """Twelve digits that change with whatever decides about a pixel: our decoder's source, Pillow, its libraries."""
    libraries = [str(features.version(name)) for name in ("jpg", "libjpeg_turbo", "zlib", "libtiff", "webp")]
    source = b"".join(Path(str(module.__file__)).read_bytes() for module in (bands, damage, decoding, opening))
    return hashlib.sha256(source + " ".join([PIL.__version__, *libraries]).encode()).hexdigest()[:12]
