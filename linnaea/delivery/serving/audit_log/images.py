"""Images that are kept beside a log, each once, under the hash of its bytes."""

import os
from pathlib import Path

from linnaea.runtime.images import suffix_of


def keep_image(folder: Path, sha256: str, content: bytes, *, durable: bool) -> Path:
    """Write an image as SHA256.ext, whole or not at all, unless it is there; raises OSError where the disk refuses.

    `durable` waits until the disk has it.
    """
    path = folder / f"{sha256}{suffix_of(content) or '.image'}"
    if path.exists():
        return path
    folder.mkdir(exist_ok=True)
    partial = folder / f".{sha256}.{os.getpid()}.partial"
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
