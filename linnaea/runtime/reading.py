"""Files that are opened for reading: regular ones only, and never more of them than was asked for.

A folder of images may hold a pipe, a device or a socket under the name of a photo; to open such a thing may wait for
ever, or do something. This file imports nothing but the standard library, because it travels beside an exported model.
"""

import errno
import io
import os
import stat
from pathlib import Path

NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path) -> io.BufferedReader:
    """A file for reading, as bytes; raises OSError, whose `strerror` says why, for what is no regular file."""
    _require_regular(path.stat(), path)  # before it is opened: opening a device may already act
    handle = os.open(path, os.O_RDONLY | NO_WAITING)
    try:
        _require_regular(os.fstat(handle), path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, most: int) -> bytes:
    """All bytes of a regular file; raises OSError where it has more than `most`, however many it claimed to have."""
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size <= most:
            content = stream.read(most + 1)
            if len(content) <= most:
                return content
    raise OSError(errno.EFBIG, f"file of more than {most:,} bytes", str(path))


def _require_regular(about: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "a pipe, a socket or a device, not a file", str(path))
