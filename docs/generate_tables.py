"""Write `method-table.md`, every member of every registry in its own words: `python docs/generate_tables.py`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.delivery import answers

PAGE = Path(__file__).parent / "method-table.md"
INTRODUCTION = """\
<!-- Written by docs/generate_tables.py from the registries; a test fails when it is out of date. Do not edit. -->

# Method table

Everything that is registered under a name, family by family. The command line and the error messages for a mistyped
name read the same registries. [CONTRIBUTING](../CONTRIBUTING.md) shows how a member is added.
"""


@dataclass(frozen=True)
class Family:
    """A registry: where it lives, who uses it, and how its members are shown.

    `speaker` gives the function or class whose docstring describes a member; `extra` is a further column; `ranked`
    says that the order of the registry means something, so that it is kept.
    """

    title: str
    where: str
    registry: str
    used_by: str
    speaker: Callable[[str, Any], Any] = lambda name, member: member
    extra: tuple[str, Callable[[Any], str]] | None = None
    ranked: bool = False


def _better(metric: Any) -> str:
    return "higher" if metric.higher_is_better else "lower"


def _amount(member: Any) -> str:
    return str(member.amount or "none")


def _needs_weights(rung: Any) -> str:
    return {None: "not used", True: "needed", False: "does without"}[rung.pretrained]


FAMILIES = (
    Family(
        "Sources, in the order they are tried",
        "linnaea.data.sources",
        "SOURCES",
        "Used by every verb that takes data.",
        lambda name, source: source.read,
        ranked=True,
    ),
    Family(
        "Packed files, whose images are read where they lie",
        "linnaea.runtime.containers",
        "CONTAINERS",
        "Used by the sources, and wherever an image is read.",
        lambda name, kind: kind.open,
    ),
    Family(
        "Forms to convert to",
        "linnaea.data.writers",
        "WRITERS",
        "Chosen with `linnaea convert --to`.",
        lambda name, writer: writer.write,
    ),
    Family(
        "Splitters",
        "linnaea.data.splits",
        "SPLITTERS",
        "Chosen with `linnaea split --by` and `linnaea train --split-by`.",
    ),
    Family("Audit checks", "linnaea.data.audit", "CHECKS", "Used by `linnaea audit` and `linnaea train`."),
    Family(
        "Augmentations",
        "linnaea.learning.augmentations",
        "AUGMENTATIONS",
        "Chosen with `linnaea train --augment`, shown by `linnaea preview`.",
        lambda name, augmentation: augmentation.change,
        ("number after a colon", _amount),
    ),
    Family(
        "Balancers",
        "linnaea.learning.balance",
        "BALANCERS",
        "Chosen with `linnaea train --balance`.",
        lambda name, balancer: balancer.act,
        ("number after a colon", _amount),
    ),
    Family(
        "Rungs of the ladder",
        "linnaea.learning.rungs",
        "RUNGS",
        "Chosen with `linnaea train --model`.",
        lambda name, rung: rung.fit,
        ("pretrained weights", _needs_weights),
        ranked=True,
    ),
    Family(
        "Losses",
        "linnaea.learning.losses",
        "LOSSES",
        "Chosen with `linnaea train --loss`.",
        lambda name, loss: loss.make,
        ("number after a colon", _amount),
    ),
    Family("Models", "linnaea.models", "MODELS", "Built by the rungs and by `linnaea.load`."),
    Family(
        "Metrics",
        "linnaea.evidence.metrics",
        "METRICS",
        "Used by `linnaea train`, `linnaea evaluate` and `linnaea compare`.",
        lambda name, metric: metric.function,
        ("better", _better),
    ),
    Family(
        "Metrics where classes lie below groups",
        "linnaea.evidence.metrics",
        "TREE_METRICS",
        "Beside those of the classes.",
        lambda name, metric: metric.function,
        ("better", _better),
    ),
    Family(
        "Aims of thresholds",
        "linnaea.evidence.aims",
        "AIMS",
        "Chosen with `linnaea train --aim`.",
        lambda name, aim: aim.score,
        ("such as", lambda aim: f"`{aim.example}`" if aim.example else ""),
    ),
    Family(
        "Metrics of several labels",
        "linnaea.evidence.metrics",
        "LABEL_METRICS",
        "Used in their place where an image may show several labels.",
        lambda name, metric: metric.function,
        ("better", _better),
    ),
    Family(
        "Exporters",
        "linnaea.delivery.exporters",
        "EXPORTERS",
        "Chosen with `linnaea export --to`.",
        lambda name, exporter: exporter.write,
    ),
    Family(
        "Output formats",
        "linnaea.delivery.answers",
        "FORMATS",
        "Chosen with `linnaea predict --format`.",
        lambda name, writer: getattr(answers, f"as_{name}"),
    ),
    Family(
        "Tasks",
        "linnaea.task",
        "TASKS",
        "Chosen by the number of classes.",
        lambda name, task: type(task),
        ("models are chosen by", lambda task: str(task.metric)),
    ),
)
TOLD_HERE = {
    ("TASKS", "binary"): "One of two classes per image.",
    ("TASKS", "multiclass"): "One of three or more classes per image.",
    ("TASKS", "hierarchical"): "One of the classes per image, or a group of them, as a taxonomy has it.",
}


def registry_of(family: Family) -> Any:
    """The family's registry, with every module of its package imported, so that all members are there."""
    home = importlib.import_module(family.where)
    for found in pkgutil.iter_modules(getattr(home, "__path__", ())):
        if found.name != "predict_onnx":  # a script for another machine, not a member
            importlib.import_module(f"{family.where}.{found.name}")
    return getattr(home, family.registry)


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *("\n".join(_section(family)) for family in FAMILIES)])


def _section(family: Family) -> Iterator[str]:
    yield f"## {family.title}\n"
    yield f"`{family.where}.{family.registry}`. {family.used_by}\n"
    header = ["name", "what it is", *([family.extra[0]] if family.extra else []), "file"]
    yield _row(header)
    yield _row(["---"] * len(header))
    members = registry_of(family).items()
    for name, member in members if family.ranked else sorted(members, key=lambda member: member[0]):
        speaker = family.speaker(name, member)
        further = [family.extra[1](member)] if family.extra else []
        yield _row([f"`{name}`", _told(family, name, speaker), *further, _file(speaker)])
    yield ""


def _told(family: Family, name: str, speaker: Any) -> str:
    told = TOLD_HERE.get((family.registry, name)) or (inspect.getdoc(speaker) or "").split("\n\n")[0]
    if not told:
        raise ValueError(f"{name} in {family.registry} has no docstring: its first line belongs into this table.")
    return " ".join(told.split()).replace("|", "\\|")


def _file(speaker: Any) -> str:
    path = inspect.getmodule(speaker).__name__.replace(".", "/")
    folder = Path(__file__).parents[1] / path
    path = f"{path}/__init__.py" if folder.is_dir() else f"{path}.py"
    return f"[{path}](../{path})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
