"""Explainers put to work: what fits a classifier, and maps that are what they should be."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from linnaea.arrays import Array, Integers
from linnaea.dataset import Dataset
from linnaea.errors import LinnaeaError, MissingExtraError, UsageError
from linnaea.evidence.explanation.contract import EXPLAINERS, Examples, Maps, Settings
from linnaea.evidence.explanation.subject import Subject
from linnaea.registry import About
from linnaea.runtime.progress import track

OF_SOME = ("channel", "concept", "against")  # settings that few explainers take
AT_ONCE = 16  # images that an explainer is given at a time
LACKS = {
    "features": "has no features that could be taken out",
    "gradients": "has no gradients",
    "layer": "has no layer with a map and gradients",
    "attention": "has no attention between tokens",
}


def fitting_explainers(subject: Subject, kind: str | None = None) -> list[str]:
    """The names of those that can explain it, installed or not; `kind` is the one wanted (None: any)."""
    told = [EXPLAINERS.about(name) for name in EXPLAINERS]
    return [one.name for one in told if needs_of(one) in subject.can and kind in (None, kind_of(one))]


def needs_of(about: About) -> str:
    """What an explainer needs of a classifier."""
    return str(about.capabilities.get("needs", "answers"))


def kind_of(about: About) -> str:
    """The kind of an explainer."""
    return str(about.capabilities.get("kind", "map"))


def is_signed(about: About) -> bool:
    """Whether its maps have both signs."""
    return bool(about.capabilities.get("signed", False))


def require_fitting(subject: Subject, name: str) -> None:
    """Raise UsageError, with those that can, where an explainer cannot explain it; MissingExtraError for a library."""
    about = EXPLAINERS.about(name)
    if needs_of(about) not in subject.can:
        raise UsageError(
            f"{about.title} needs {needs_of(about)}, but a classifier of the kind {subject.kind} "
            f"{LACKS[needs_of(about)]}: {_choice(subject)}."
        )
    if about.capabilities.get("training", False):
        require_training(subject)
    libraries: Any = about.capabilities.get("libraries", ())
    for library in libraries:
        if find_spec(library) is None:
            raise MissingExtraError(library, str(about.capabilities["extra"]))


def require_told(names: Sequence[str], settings: Settings) -> None:
    """Raise UsageError where an explainer lacks what it must be told, or where none takes what is told."""
    for name in names:
        _require_its_own(EXPLAINERS.about(name), settings)
    taken = {option for name in names for option in _takes(EXPLAINERS.about(name))}
    for option in OF_SOME:
        if getattr(settings, option) not in (None, ()) and option not in taken:
            takers = [name for name in EXPLAINERS if option in _takes(EXPLAINERS.about(name))]
            raise UsageError(
                f"{option} is given, which none of {', '.join(names)} looks at: add --method {' or '.join(takers)}."
            )


def _require_its_own(about: About, settings: Settings) -> None:
    if about.capabilities.get("asks", "") == "concept" and not settings.concept:
        raise UsageError(
            f"{about.title} needs a concept: --concept takes a folder of pictures that have something in common, "
            "such as stripes."
        )


def _takes(about: About) -> tuple[str, ...]:
    taken: Any = about.capabilities.get("takes", ())
    return tuple(taken)


def require_training(subject: Subject) -> Dataset:
    """The training split; raises UsageError where it is not known which images a classifier was trained on."""
    dataset = subject.training
    if dataset is None or not len(dataset):
        raise UsageError(
            "it is not known which images this classifier was trained on: give the folder of its run, whose manifest "
            "says so, in place of the classifier alone."
        )
    return dataset


def _choice(subject: Subject) -> str:
    names = fitting_explainers(subject)
    return f"choose one of {', '.join(names)}" if names else "no method can explain it"


def run_explainer(name: str, subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps | Examples:
    """What the explainer of this name makes of N images (N, S, S, C) and their targets (N,), some at a time.

    Raises UsageError where it cannot explain this classifier, LinnaeaError where it gives something that is no map.
    """
    require_fitting(subject, name)
    explain, about = EXPLAINERS[name], EXPLAINERS.about(name)
    if kind_of(about) == "picture":
        pictures: Examples = explain(subject, targets, settings)
        return pictures
    step = subject.at_once(AT_ONCE)
    starts = range(0, len(pixels), step)
    parts = [
        explain(subject, pixels[start : start + step], targets[start : start + step], settings)
        for start in track(starts, about.title, len(starts))
    ]
    return _joined_examples(parts) if kind_of(about) == "examples" else _joined(about, parts, pixels.shape[:3])


def _joined(about: About, parts: list[Maps], shape: tuple[int, ...]) -> Maps:
    values = np.concatenate([part.values for part in parts]).astype(np.float32, copy=False)
    if values.shape != shape or not np.isfinite(values).all():
        raise LinnaeaError(
            f"{about.title} gave maps of the shape {values.shape}, of which {int(np.isfinite(values).sum()):,} values "
            f"are finite; expected finite ones of the shape {shape}."
        )
    return Maps(values, parts[0].said)


def _joined_examples(parts: list[Examples]) -> Examples:
    names = list(parts[0].arrays)
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in names}
    said = "; ".join(dict.fromkeys(part.said for part in parts if part.said))
    findings = tuple(finding for part in parts for finding in part.findings)
    return Examples(tuple(_rows(parts)), arrays, said, findings)


def _rows(parts: list[Examples]) -> Iterator[Any]:
    for part in parts:
        yield from part.rows


def is_flat(maps: Array) -> Array:
    """Which of maps (N, S, S) say the same of every pixel, and so nothing of any (N,)."""
    flat = maps.reshape(len(maps), -1)
    return np.asarray(np.ptp(flat, axis=1) <= 1e-12)
