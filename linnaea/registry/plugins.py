"""Other packages that add members: those with an entry point in the group `linnaea.plugins`."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from linnaea.registry.about import warn
from linnaea.registry.places import sources
from linnaea.registry.source import Text, read

GROUP = "linnaea.plugins"


@dataclass(frozen=True, eq=False, repr=False)
class Plugin:
    """An installed plugin: its name, the module or package that its entry point names, and what its files say."""

    name: str
    module: str
    texts: tuple[tuple[str, Text], ...]


@cache
def plugins() -> tuple[Plugin, ...]:
    """Every plugin that can be read, by name; the others are warned about."""
    return tuple(plugin for plugin in map(_read, _entry_points()) if plugin is not None)


def _entry_points() -> list[tuple[str, str]]:
    if not any(_mentioned()):
        return []
    from importlib.metadata import entry_points  # takes longer than all else here

    return sorted({(entry.name, entry.value) for entry in entry_points(group=GROUP)})


def _mentioned() -> Iterator[bool]:
    """For each installed package with entry points, whether any of them is of our group."""
    for folder in filter(os.path.isdir, [path or "." for path in sys.path]):
        for name in os.listdir(folder):  # noqa: PTH208  quicker, and this is waited for whenever a name was mistyped
            if name.endswith((".dist-info", ".egg-info")):
                with suppress(OSError), open(f"{folder}/{name}/entry_points.txt", "rb") as file:  # noqa: PTH123
                    yield GROUP.encode() in file.read()


def _read(entry: tuple[str, str]) -> Plugin | None:
    name, module = entry
    try:
        return Plugin(name, module, tuple((found, read(found, path)) for found, path in sources(module)))
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        warn(f"The plugin {name} ({module}) cannot be read and is left out: {error}")
        return None
