"""What the names given as `--model` stand for, told without importing torch: nothing is learnt to refuse a name."""

from collections.abc import Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from linnaea.errors import UsageError, suggest
from linnaea.registry.families import family_in

AUTO = "auto"
ENTRY = "@register_model\n"  # before each function that makes a network


def names_in(model: str) -> list[str]:
    """The names in a list joined by commas; raises UsageError for one that is given twice."""
    names = [part.strip() for part in model.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the model {twice!r} is given twice: name each model once.")
    return names


def require_models(model: str) -> None:
    """Raise UsageError unless `model` is "auto" or names of what can be had, joined by commas."""
    for name in [] if model == AUTO else names_in(model):
        kind_of(name)


def kind_of(name: str) -> Literal["rung", "model", "network"]:
    """What a name stands for: a rung, a registered model that can be trained from scratch, or a network of timm.

    Raises UsageError for a name that is none of them, with the nearest one that is.
    """
    if name in _rungs():
        return "rung"
    if name in _trainable():
        return "model"
    if _may_be_timms(name):
        return "network"
    own = [AUTO, *_rungs(), *_trainable()]
    hint = suggest(name, [*own, *_timms()])
    raise UsageError(f"unknown model {name!r}: expected {', '.join(own)} or the name of a timm network.{hint}")


def _rungs() -> Sequence[str]:
    return list(family_in("rung", "linnaea.learning.rungs").members)


def _trainable() -> Sequence[str]:
    models = family_in("model", "linnaea.models").members
    return [name for name, told in models.items() if told.capabilities.get("from_scratch")]


def _may_be_timms(name: str) -> bool:
    """Whether the name, without a pretraining tag such as `.a1_in1k`, is a word of timm's files: it names functions."""
    stem, sources = name.split(".")[0], _sources_of_timm()
    return any(made in sources for made in (f"def {stem}(", f"'{stem}'", f'"{stem}"'))


def _timms() -> list[str]:
    made = (part.partition("def ")[2] for part in _sources_of_timm().split(ENTRY)[1:])
    return [text[: text.index("(")] for text in made]


@cache
def _sources_of_timm() -> str:
    spec = PathFinder.find_spec("timm")
    folders = spec.submodule_search_locations if spec is not None else None
    files = sorted(Path(folders[0], "models").glob("*.py")) if folders else []
    return "\n".join(file.read_text(encoding="utf-8") for file in files)
