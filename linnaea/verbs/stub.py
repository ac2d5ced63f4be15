"""`python -m linnaea.verbs.stub` writes `linnaea/__init__.pyi`: the verbs as type checkers and editors see them."""

import ast
import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from types import UnionType
from typing import Any, ForwardRef, get_args

import linnaea
from linnaea.options.option import Keyword
from linnaea.verbs.calling import Function, keywords_of
from linnaea.verbs.contract import VERBS

FILE = Path(linnaea.__file__).with_suffix(".pyi")
HEAD = '"""Made from the verbs by `python -m linnaea.verbs.stub`."""'


def stub() -> str:
    """The text of the file: what the package offers, each verb with its options as keyword arguments."""
    verbs = {name: VERBS[name] for name in VERBS if VERBS.about(name).module.startswith(f"{linnaea.__name__}.")}
    written = "\n".join(_signature(name, verb) for name, verb in sorted(verbs.items()))
    homes = dict(sorted(vars(linnaea)["_HOMES"].items()))
    code = re.sub(r'""".*"""', "", written)
    needed = {*re.findall(r"\b[A-Z]\w+", code)} - {"None", "True", "False", *homes}
    found = {name: place for verb in verbs.values() for name, place in _imports(verb) if name in needed}
    lines = [f"from {place} import {name}" for name, place in sorted(found.items(), key=lambda one: one[::-1])]
    offered = [f"from {place} import {name} as {name}" for name, place in homes.items()]
    listed = "".join(f'    "{name}",\n' for name in sorted([*homes, *verbs]))
    return "\n".join([HEAD, "", *lines, *offered, "", f"__all__ = [\n{listed}]", "__version__: str", "", written])


def _signature(name: str, verb: Function) -> str:
    keywords = keywords_of(verb)
    positional = [_parameter(one) for one in keywords if one.positional]
    named = [_parameter(one) for one in keywords if not one.positional]
    returned = verb.__annotations__["return"]
    arguments = "".join(f"    {one},\n" for one in [*positional, *(["*"] if named else []), *named])
    documentation = cleandoc(verb.__doc__ or "").partition("\n")[0]
    return f'def {name}(\n{arguments}) -> {_written(returned)}:\n    """{documentation}"""\n'


def _parameter(keyword: Keyword) -> str:
    default = "" if keyword.required else f" = {_value(keyword.default)}"
    return f"{keyword.name}: {_written(keyword.type)}{default}"


def _value(default: Any) -> str:
    return f'Path("{default}")' if isinstance(default, Path) else repr(default)


def _written(hint: Any) -> str:
    """A type as it is written in source text."""
    if isinstance(hint, str):
        return hint
    if isinstance(hint, ForwardRef):
        return hint.__forward_arg__
    if isinstance(hint, UnionType):
        return " | ".join(map(_written, get_args(hint)))
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return re.sub(r"[\w.]+\.(\w+)", r"\1", str(hint))


def _imports(verb: Function) -> Iterator[tuple[str, str]]:
    """The names that the module of a verb imports or defines, and where from."""
    tree = ast.parse(Path(sys.modules[verb.__module__].__file__ or "").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((name.name, node.module) for name in node.names)
        elif isinstance(node, ast.ClassDef):
            yield node.name, verb.__module__


if __name__ == "__main__":
    FILE.write_text(stub(), encoding="utf-8")
