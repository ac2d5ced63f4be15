"""Where computed things are kept between runs: one store per user, which can be moved, bounded or switched off.

`LINNAEA_CACHE` names its folder, or is "none"; `LINNAEA_CACHE_LIMIT` bounds it, such as "20GB" (the default is 10 GB).
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from linnaea.runtime.documents import documents
from linnaea.runtime.sizes import parse_bytes
from linnaea.runtime.store import Store

DEFAULT_LIMIT = "10GB"
PLANS = "plans"  # the folder of the execution plans, within that of the cache
Result = TypeVar("Result")
logger = logging.getLogger("linnaea")


def cache_folder() -> Path | None:
    """The folder of the cache; None where it is switched off."""
    given = os.environ.get("LINNAEA_CACHE", "")
    if given.lower() == "none":
        return None
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "linnaea"
    return (Path(given) if given else usual).expanduser()


def cache_limit() -> int:
    """The most bytes that the cache may hold; raises UsageError for what is no number of bytes."""
    return parse_bytes(os.environ.get("LINNAEA_CACHE_LIMIT") or DEFAULT_LIMIT)


def cached(use: Callable[[Store], Result], otherwise: Result) -> Result:
    """What `use` makes of the user's store; `otherwise`, with one warning, where there is none or the disk refuses."""
    folder = cache_folder()
    if folder is None or folder in _given_up():
        return otherwise
    try:
        return use(_store(folder, cache_limit()))
    except (OSError, sqlite3.Error) as error:
        _given_up().add(folder)
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        logger.warning(
            f"the cache {folder} can no longer be used ({said}): the work continues without it. Make room with "
            "`linnaea cache --clear`, or set LINNAEA_CACHE to a folder that can be written to."
        )
        return otherwise


def describe_cache() -> dict[str, Any]:
    """The folder, its limit, how many bytes it holds and for what, as JSON types."""
    folder = cache_folder()
    nothing: list[dict[str, Any]] = []
    contents = [*cached(Store.contents, otherwise=nothing), *_plans(folder)]
    return {
        "folder": str(folder) if folder else None,
        "limit": cache_limit(),
        "bytes": sum(row["bytes"] for row in contents),
        "contents": contents,
    }


def clear_cache() -> int:
    """Remove everything that is kept; returns the bytes that were freed."""
    folder = cache_folder()
    if folder is None:
        return 0
    freed = sum(int(row["bytes"]) for row in _plans(folder))
    for file in documents(folder / PLANS):
        file.unlink(missing_ok=True)
    return freed + _store(folder, cache_limit()).clear()


def _plans(folder: Path | None) -> list[dict[str, Any]]:
    """The row of the execution plans among the contents of the cache, if there are any."""
    files = []
    for file in documents(folder / PLANS) if folder is not None else []:
        with suppress(OSError):  # removed by another process
            files.append(file.stat())
    if not files:
        return []
    size, used = sum(about.st_size for about in files), max(about.st_mtime for about in files)
    return [{"namespace": "execution plans", "rows": len(files), "bytes": size, "used": used}]


@lru_cache
def _store(folder: Path, limit: int) -> Store:
    return Store(folder, limit)


@lru_cache(maxsize=1)
def _given_up() -> set[Path]:
    """The folders that failed once in this process."""
    return set()
