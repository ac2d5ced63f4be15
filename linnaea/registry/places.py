"""Where the source of a module or a package lies, found without importing it."""

from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path


def sources(module: str) -> Iterator[tuple[str, Path]]:
    """The name and the file of a module or, for a package, of all modules in its folder and below, sorted.

    Raises ModuleNotFoundError where there is none.
    """
    spec = _find(module)
    if spec.submodule_search_locations is None:
        yield module, Path(str(spec.origin))
        return
    for folder in map(Path, spec.submodule_search_locations):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([module, *(parts[:-1] if parts[-1] == "__init__" else parts)]), path


def _find(module: str) -> ModuleSpec:
    top, *rest = module.split(".")
    spec, name = find_spec(top), top
    for part in rest:
        name = f"{name}.{part}"
        spec = None if spec is None else PathFinder.find_spec(name, spec.submodule_search_locations or [])
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {module!r}", name=module)
    return spec
