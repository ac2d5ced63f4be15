"""What the names given as `--model` stand for, told without importing torch: nothing is learnt to refuse a name."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from linnaea.errors import UsageError, suggest
from linnaea.learning.pipeline_names import FORM, half_of_one, is_pipeline, pipeline_of
from linnaea.registry.index import family_in

AUTO = "auto"
LIBRARIES = ("timm", "torchvision")
ENTRY, DEFINED = re.compile(rb"^@register_model(?:\(\))?$", re.MULTILINE), b"\ndef "  # of functions that make networks


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


def kind_of(name: str) -> Literal["rung", "model", "network", "pipeline"]:
    """What a name stands for: a rung, a registered model that can be trained from scratch, a classical pipeline, or a
    network of timm or torchvision.

    Raises UsageError for a name that is none of them, with the nearest one that is.
    """
    if name in rungs():
        return "rung"
    if name in trainable():
        return "model"
    if is_pipeline(name):
        pipeline_of(name)
        return "pipeline"
    if _may_be_timms(name) or name in networks_of("torchvision"):
        return "network"
    own = [AUTO, *rungs(), *trainable()]
    alike = (one for library in LIBRARIES for one in networks_of(library) if one.startswith(name[:1]))
    hint = half_of_one(name) or suggest(name, [*own, *alike])
    raise UsageError(
        f"unknown model {name!r}: expected {', '.join(own)}, {FORM}, or the name of a network of timm or torchvision."
        f"{hint}"
    )


def rungs() -> Sequence[str]:
    """The names of the rungs."""
    return list(family_in("rung", "linnaea.learning.rungs").known)


def trainable() -> Sequence[str]:
    """The names of registered models that can be trained from scratch."""
    models = family_in("model", "linnaea.models").known
    return [name for name, told in models.items() if told.capabilities.get("from_scratch")]


@cache
def networks_of(library: str) -> tuple[str, ...]:
    """The names of the functions that make the networks of timm or torchvision, told from the text of its files."""
    return tuple(sorted({name for source in _sources_of(library) for name in _made_in(source)}))


def _made_in(source: bytes) -> Iterator[str]:
    for made in ENTRY.split(source)[1:]:
        start = made.index(DEFINED) + len(DEFINED)
        yield made[start : made.index(b"(", start)].decode()


def _may_be_timms(name: str) -> bool:
    """Whether the name, without a pretraining tag such as `.a1_in1k`, is a word of timm's files: it names functions."""
    stem = name.split(".")[0]
    word, made = stem.encode(), [form.encode() for form in (f"def {stem}(", f"'{stem}'", f'"{stem}"')]
    return any(form in source for source in _sources_of("timm") if word in source for form in made)


@cache
def _sources_of(library: str) -> tuple[bytes, ...]:
    spec = PathFinder.find_spec(library)
    folders = spec.submodule_search_locations if spec is not None else None
    return tuple(file.read_bytes() for file in Path(folders[0], "models").glob("*.py")) if folders else ()
