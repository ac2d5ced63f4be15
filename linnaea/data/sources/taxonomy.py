"""Which class lies below which group: from labels such as `animal/mammal/dog`, or a table of children and parents."""

from collections.abc import Iterable

from linnaea.data.sources.trees import Tree, under
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.cells import rows_in
from linnaea.runtime.text import decoded
from linnaea.taxonomy import require_no_loop

NAME = "taxonomy.csv"
COLUMNS = ("child", "parent")
SLASH = "/"


def from_labels(classes: Iterable[str]) -> dict[str, str]:
    """Child to parent of every class whose name is a path; a name with an empty part is no path."""
    parents: dict[str, str] = {}
    for name in classes:
        parts = name.split(SLASH)
        if all(part.strip() for part in parts):
            for depth in range(len(parts) - 1, 0, -1):
                parents[SLASH.join(parts[: depth + 1])] = SLASH.join(parts[:depth])
    return parents


def beside(tree: Tree, below: str = "") -> dict[str, str] | None:
    """What `taxonomy.csv` in a folder says, with the header `child,parent`; None where there is none."""
    name = under(below, NAME)
    if not tree.have([name])[0]:
        return None
    with parsing(tree.shown(name), "a table", f"expected the columns {','.join(COLUMNS)}"):
        header, *pairs = [row for row in rows_in(decoded(tree.read(name), tree.shown(name))) if row] or [[]]
    if header != list(COLUMNS) or any(len(pair) != len(COLUMNS) for pair in pairs):
        raise DataError(f"{tree.shown(name)} does not have the two columns {','.join(COLUMNS)}.")
    return from_pairs(((child, parent) for child, parent in pairs), tree.shown(name))


def from_pairs(pairs: Iterable[tuple[str, str]], where: str) -> dict[str, str]:
    """Child to parent; a child without a parent is at the top. Raises DataError for two parents, or a loop."""
    parents: dict[str, str] = {}
    for child, parent in pairs:
        if not child:
            raise DataError(f"{where} has a row without a child: expected the name of a class or a group there.")
        if not parent:
            continue
        if parents.setdefault(child, parent) != parent:
            raise DataError(
                f"{where} gives {child!r} two parents, {parents[child]!r} and {parent!r}: a taxonomy is a tree, "
                "remove one of them."
            )
    require_no_loop(parents, where)
    return parents
