"""The contract of explainers: what they are given, and what they give back.

An explainer of the kind "map" says how much each pixel speaks for a class:

    @EXPLAINERS.register("saliency", title="Saliency", meaning="...", kind="map", needs="gradients", order=10)
    def saliency(subject: Subject, pixels: Images, targets: Integers, settings: Settings) -> Maps: ...

One of the kind "examples" shows other images beside each; one of the kind "picture" shows what a class or a part of the
network stands for, and is given no images: `(subject, targets, settings)`, a row of pictures per class asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linnaea.arrays import Array, Float32, Images
from linnaea.finding import Finding
from linnaea.registry import Registry
from linnaea.runtime.containers import Located

KINDS = ("map", "examples", "picture")
NEEDS = ("answers", "features", "gradients", "layer", "attention")


@dataclass(frozen=True)
class Settings:
    """What explainers may be told.

    `seed` decides about all random numbers: the same for every image, so that the explanation of one does not depend on
    those beside it. `layer` is the name of the one to look at (None: found by a trial). `samples` is how many draws,
    masks or steps a method takes (None: its own number). `channel` is the one of that layer to picture (None: the
    class is pictured). `concept` are pictures that have something in common, `against` pictures that have not (None:
    images of training).
    """

    seed: int = 0
    layer: str | None = None
    samples: int | None = None
    channel: int | None = None
    concept: tuple[Located, ...] = ()
    against: tuple[Located, ...] | None = None


@dataclass(frozen=True)
class Maps:
    """How much each pixel of N images speaks for a class: `values` (N, S, S), finite.

    Of a signed explainer, what is below 0 speaks against it; of others, nothing is below 0. `said` is what should be
    known of how they were made, such as the layer.
    """

    values: Float32
    said: str = ""


@dataclass(frozen=True)
class Example:
    """An image (H, W, 3) of uint8 that is shown, what stands below it, and its path where it is a file's."""

    picture: Images
    caption: str
    path: str | None = None


@dataclass(frozen=True)
class Examples:
    """Pictures that explain: a row for each image or, of the kind "picture", for each class.

    `arrays` are kept in the file of arrays, by name; `said` is what should be known of how they were made. `findings`
    are what was found in words and figures, `titles` what the rows are called where they are of no class.
    """

    rows: tuple[tuple[Example, ...], ...]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    said: str = ""
    findings: tuple[Finding, ...] = ()
    titles: tuple[str, ...] = ()


EXPLAINERS: Registry[Callable[..., Any]] = Registry(
    "explainer",
    "linnaea.evidence.explanation",
    title="Explainers",
    use="Chosen with `linnaea explain --method`.",
)
"""Explainers by name. Capabilities: `kind`, one of `KINDS`; `needs`, one of `NEEDS`: calibrated answers, which every
classifier gives, or features, gradients, gradients at a layer that has a map, attention; `signed`, maps have both signs
(False where it is not said); `training`, it looks at the images of the training split; `takes`, settings that others do
not take, and `asks`, the one of them that must be given; `libraries`, packages that must be installed, and the `extra`
that has them."""
