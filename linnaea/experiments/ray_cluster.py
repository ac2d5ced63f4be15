"""Ray: the processors of this machine or of a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from linnaea.errors import MissingExtraError


def require_ray(library: str) -> Any:
    """The module ray with a library of it, "tune" or "data"; raises MissingExtraError where it is not installed."""
    try:
        ray = import_module("ray")
        import_module(f"ray.{library}")
    except ImportError:
        raise MissingExtraError(f"ray[{library}]", "ray") from None
    return ray


@contextmanager
def cluster(library: str) -> Iterator[Any]:
    """The same, joined to a cluster.

    It is the one that `RAY_ADDRESS` or the program has joined or, where there is none, one of this machine.
    """
    ray = require_ray(library)
    joined = ray.is_initialized()
    if not joined:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    try:
        yield ray
    finally:
        if not joined:
            ray.shutdown()
