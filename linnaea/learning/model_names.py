"""What the names given as `--model` stand for, told without importing torch: nothing is learnt to refuse a name."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from linnaea.errors import UsageError, suggest
from linnaea.learning.pipeline_names import FORM, half_of_one, is_pipeline, pipeline_of
from linnaea.registry.index import family_in

AUTO = "auto"
ENTRY, DEFINED = b"@register_model\n", b"def "  # before each function that makes a network


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
    """What a name stands for: a rung, a registered model to be trained from scratch, a network of timm, or a pipeline.

    Raises UsageError for a name that is none of them, with the nearest one that is.
    """
    if name in _rungs():
        return "rung"
    if name in _trainable():
        return "model"
    if is_pipeline(name):
        pipeline_of(name)
        return "pipeline"
    if _may_be_timms(name):
        return "network"
    own = [AUTO, *_rungs(), *_trainable()]
    hint = half_of_one(name) or suggest(name, [*own, *_networks_of_timm(name[:1])])
    raise UsageError(f"unknown model {name!r}: expected {', '.join(own)}, {FORM}, or the name of a timm network.{hint}")


def _rungs() -> Sequence[str]:
    return list(family_in("rung", "linnaea.learning.rungs").known)


def _trainable() -> Sequence[str]:
    models = family_in("model", "linnaea.models").known
    return [name for name, told in models.items() if told.capabilities.get("from_scratch")]


def _may_be_timms(name: str) -> bool:
    """Whether the name, without a pretraining tag such as `.a1_in1k`, is a word of timm's files: it names functions."""
    stem = name.split(".")[0]
    word, made = stem.encode(), [form.encode() for form in (f"def {stem}(", f"'{stem}'", f'"{stem}"')]
    return any(form in source for source in _sources_of_timm() if word in source for form in made)


def _networks_of_timm(initial: str) -> Iterator[str]:
    """The names of the functions that make timm's networks, as far as they begin with this letter."""
    for source in _sources_of_timm():
        for made in source.split(ENTRY)[1:]:
            start = made.index(DEFINED) + len(DEFINED)
            if made.startswith(initial.encode(), start):
                yield made[start : made.index(b"(", start)].decode()


@cache
def _sources_of_timm() -> tuple[bytes, ...]:
    spec = PathFinder.find_spec("timm")
    folders = spec.submodule_search_locations if spec is not None else None
    return tuple(file.read_bytes() for file in Path(folders[0], "models").glob("*.py")) if folders else ()
