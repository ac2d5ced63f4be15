"""Write `method-table.md`, every member of every family in its own words: `python docs/generate_tables.py`."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from linnaea.learning.amounts import Amount
from linnaea.registry import About, Family, Registry, families

PAGE = Path(__file__).parent / "method-table.md"
INTRODUCTION = """\
<!-- Written by docs/generate_tables.py from the registries; a test fails when it is out of date. Do not edit. -->

# Method table

Everything that is registered under a name, family by family. The command line, the report and the error messages for a
mistyped name read the same registries; `linnaea methods` lists them with what plugins add.
[CONTRIBUTING](../CONTRIBUTING.md) shows how a member is added.
"""
FURTHER: dict[str, tuple[str, Callable[[Any], str]]] = {  # of members or what they can do: its column, how it is told
    "amount": (
        "number after a colon",
        lambda amount: str(Amount(*amount) if type(amount) is tuple else amount or "none"),
    ),
    "higher_is_better": ("better", lambda higher: "higher" if higher else "lower"),
    "pretrained": ("pretrained weights", lambda known: {None: "not used", True: "needed"}.get(known, "does without")),
    "example": ("such as", lambda example: f"`{example}`" if example else ""),
    "metric": ("models are chosen by", str),
}


def registry_of(family: Family) -> Registry[Any]:
    """The registry of a family, as its module makes it."""
    registry: Registry[Any] = getattr(importlib.import_module(family.module), family.variable)
    return registry


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *("\n".join(_section(family)) for family in families().values())])


def _section(family: Family) -> Iterator[str]:
    members = dict(registry_of(family).items())
    can = [told.capabilities for told in family.members.values()]
    further = {
        name: FURTHER[name]
        for name in FURTHER
        if all(hasattr(member, name) for member in members.values()) or any(name in one for one in can)
    }
    yield f"## {family.title}\n"
    yield " ".join([f"`{family.module}.{family.variable}`.", family.use]).strip() + "\n"
    costs = ["cost"] if any(told.cost for told in family.members.values()) else []
    header = ["name", "title", "what it is", *(column for column, _ in further.values()), *costs, "file"]
    yield _row(header)
    yield _row(["---"] * len(header))
    for name, told in family.members.items():
        seen = [getattr(members[name], attribute, told.capabilities.get(attribute)) for attribute in further]
        more = [show(value) for value, (_, show) in zip(seen, further.values(), strict=True)]
        more += [told.cost or ""] if costs else []
        yield _row([f"`{name}`", told.title, told.meaning, *more, _link(told)])
    yield ""


def _link(told: About) -> str:
    return f"[{told.file}](../{told.file})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
