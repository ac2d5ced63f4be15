"""Which bundles with machine code were written on this machine, by this user: those may be run without a signature."""

import logging
from contextlib import suppress

from linnaea.classifier.content import DESCRIPTION, Content
from linnaea.runtime.cache import cache_folder
from linnaea.runtime.reading import open_regular

FOLDER = "made_here"  # within that of the cache
LIBRARIES = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
logger = logging.getLogger("linnaea")


def remember(content: Content) -> None:
    """Note a bundle that was just written; where there is no cache, nothing is."""
    cache = cache_folder()
    if cache is None:
        return
    try:
        (cache / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
        (cache / FOLDER / _named(content)).touch()
    except OSError as error:
        logger.warning(f"{cache / FOLDER} cannot be written ({error.strerror}): sign the export to load it again.")


def is_made_here(content: Content) -> bool:
    """Whether the described files of a bundle are those of one that was written here, wherever it lies now."""
    cache = cache_folder()
    if cache is None:
        return False
    with suppress(OSError):
        return (cache / FOLDER / _named(content)).is_file()
    return False


def holds_a_library(content: Content) -> bool:
    """Whether a file is a library or a program of Linux, Windows or macOS, by how it begins."""
    for name in content.files:
        with open_regular(content.folder / name) as stream:
            if stream.read(4).startswith(LIBRARIES):
                return True
    return False


def _named(content: Content) -> str:
    """By the hash of the description, which has the hashes of all files that are loaded."""
    return content.files[DESCRIPTION]
