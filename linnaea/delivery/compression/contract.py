"""The contract of a compressor: a maker, from a classifier to one that is smaller or faster.

A member is registered with `takes`, the kinds of scorers it can work on, `trains`, whether it needs training, `last`,
whether nothing can follow it, and `smaller`, where it brings no size or time nearer (False). It changes the network
alone: calibration, familiarity and policy are fitted anew by whoever called it, and nothing here knows how good the
outcome is but by the workshop's own judge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from linnaea.arrays import Float32, Images, Targets
from linnaea.classifier import Classifier
from linnaea.errors import CheckFailedError
from linnaea.finding import Estimate
from linnaea.models import Model
from linnaea.registry import Registry
from linnaea.runtime.target import Target


@dataclass(frozen=True)
class Wanted:
    """What is asked for: `bits` of a number, the `backend` that computes with them (None: what suits the bits), a
    `target` (None: none), and how much of the task's metric may be lost on val, a share.

    `student` names the network that is taught, or a file of its weights (None: one of about a fifth of the size), and
    `match` what of its teacher it learns, logits or features; `trials` are the networks of a search.
    """

    bits: int = 8
    backend: str | None = None
    drop: float = 0.005
    target: Target | None = None
    student: str | None = None
    match: str = "logits"
    trials: int = 12


class UnmetError(CheckFailedError):
    """A target that cannot be met; the nearest point is told."""


class ValMetric(Protocol):
    """The task's metric, 0 to 1, of raw scores for the val images, or for those at the positions `rows`."""

    def __call__(self, logits: Float32, rows: Sequence[int] | None = None) -> float:
        """Raw scores (N, K) to the metric."""


class Tune(Protocol):
    """Trains a model on, in place, as the run was trained, at a share of its rate; returns notes on how that went.

    The weights that are left are the best on val, those it came with among them. `epochs` None are a few; `precision`
    is a number format, or "auto" for the fastest here. One that is `taught` learns from what the run answers as well,
    where the task allows it; `renewed` are statistics of batch normalisation, before it learns; `zeros` stay zero.
    """

    def __call__(
        self,
        model: Model,
        *,
        epochs: int | None = None,
        rate: float = 0.1,
        precision: str = "auto",
        taught: bool = False,
        renewed: bool = False,
        zeros: bool = False,
    ) -> Sequence[str]:
        """Train the model on."""


class Teach(Protocol):
    """Trains a student from the beginning, with the run as its teacher; returns it and notes on how that went."""

    def __call__(self, student: str, match: str) -> tuple[Model, Sequence[str]]:
        """Teach a network of this name, or of this file of weights, the run's logits or features."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """What a compressor may use beside the classifier.

    `train` and `val` are decoded images (N, S, S, C), `targets` the classes of the former. `worth` is the task's metric
    of raw scores (N, K) for val images, `judge` that of a model, `figure` the same with its interval,
    `reference` that of the model before any method. `tune` trains on, `teach` trains a student. `speed` tells the
    milliseconds that an image takes here, `at` makes the workshop for images of another size; `source` is the
    classifier of the run.
    """

    train: Images
    targets: Targets
    val: Images
    worth: ValMetric
    judge: Callable[[Model], float]
    figure: Callable[[Model], Estimate]
    tune: Tune
    teach: Teach
    speed: Callable[[Model], float]
    at: "Callable[[int], Workshop]"
    source: Classifier
    reference: float
    wanted: Wanted = Wanted()
    seed: int = 0

    @property
    def least(self) -> float:
        """What a model must be worth for no more to be lost than may be."""
        return self.reference - self.wanted.drop


@dataclass(frozen=True, eq=False)
class Compressed:
    """What came of it: a classifier with another model, and perhaps another recipe, and notes on what was done.

    `facts` are figures of the method, of JSON types, kept with the run. `warnings` are notes not to be missed.
    """

    classifier: Classifier
    notes: Sequence[str] = ()
    facts: dict[str, Any] | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Compressor:
    """`make` compresses; `require` raises UsageError or MissingExtraError, before any work, where that cannot be.

    `require_wanted` does so for what cannot be of any classifier: it is asked too where the method follows another that
    puts a network in place of the one there is, which `require` cannot be asked about.
    """

    make: Callable[[Classifier, Workshop], Compressed]
    require: Callable[[Classifier, Wanted], None]
    require_wanted: Callable[[Wanted], None] = lambda wanted: None


COMPRESSORS: Registry[Compressor] = Registry(
    "compressor",
    "linnaea.delivery.compression",
    title="Compressors",
    use="Chosen with `linnaea compress --method`.",
)
