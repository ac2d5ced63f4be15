"""The libraries that compute classical features, imported when they are needed."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from linnaea.errors import MissingExtraError

PACKAGES = {"cv2": "opencv-python-headless", "mahotas": "mahotas", "skimage": "scikit-image"}
EXTRA = "classical"
_LOCK = Lock()
_INSIDE: list[int] = []  # the number of threads that OpenCV had, once per call that is under way


def library(module: str) -> Any:
    """A module of one of the libraries; raises MissingExtraError where that is not installed."""
    top = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top:
            raise
        raise MissingExtraError(PACKAGES.get(top, top), EXTRA) from None


@contextmanager
def one_thread_of_opencv() -> Iterator[None]:
    """Let OpenCV, whose threads are one number for the process, use one for each call while any thread is in here.

    Images are computed several at a time already; what was set before is set again when the last thread leaves.
    """
    opencv = library("cv2")
    with _LOCK:
        _INSIDE.append(_INSIDE[0] if _INSIDE else opencv.getNumThreads())
        opencv.setNumThreads(1)
    try:
        yield
    finally:
        with _LOCK:
            before = _INSIDE.pop()
            if not _INSIDE:
                opencv.setNumThreads(before)
