"""The contract of a scorer."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from linnaea.arrays import Images
from linnaea.decisions import Outputs
from linnaea.errors import UsageError
from linnaea.registry import Registry

if TYPE_CHECKING:  # torch, which a scorer of another runtime does without
    from torch import Tensor

    from linnaea.runtime.plan import Plan


class Scorer(ABC):
    """Decoded images (N, S, S, 3) of uint8 to raw scores (N, K), and features (N, D) where it has some.

    It may be called from several threads at once: no call changes what another computes. What it can do: `features`
    gives them; `linear_head`, raw scores are linear in them; `gradients`, torch can differentiate it. One that is
    `whole` was made of a whole classifier: it gives calibrated probabilities and OOD scores itself, by `outputs`,
    and there is no calibrator beside it.

    The files of one with `machine_code` are code of the processor, which may do anything: it is loaded where it was
    made, or where a trusted key has signed it.
    """

    kind: ClassVar[str]
    machine_code: ClassVar[bool] = False
    features: ClassVar[bool] = False
    linear_head: ClassVar[bool] = False
    gradients: ClassVar[bool] = False
    whole: ClassVar[bool] = False

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What builds it anew, of JSON types."""

    @property
    def unexportable(self) -> str:
        """Why it cannot become a file of another runtime; empty where it can."""
        return f"a classifier of the kind {self.kind} cannot be exported: give the run it came from."

    @property
    def device(self) -> str:
        """Where it computes."""
        return "cpu"

    def to(self, device: str) -> "Scorer":
        """The same on a device; raises UsageError where it cannot go there."""
        if device != self.device:
            raise UsageError(f"a scorer of the kind {self.kind} computes on {self.device}, not on {device}.")
        return self

    def tensors(self) -> "dict[str, Tensor]":
        """Weights and buffers by name, kept in the bundle."""
        return {}

    def files(self) -> Mapping[str, Path]:
        """Further files that the bundle holds, by their names there."""
        return {}

    def batches(self, images: Images, plan: "Plan | None" = None) -> "Iterator[tuple[Tensor | None, Tensor]]":
        """Features (B, D), where it has some, and raw scores (B, K) of some images after the other, on its device."""
        raise UsageError(f"a scorer of the kind {self.kind} gives whole answers, not raw scores alone.")

    def outputs(self, images: Images) -> Outputs:
        """Raw scores, probabilities and OOD scores of images; only of one that is `whole`."""
        raise UsageError(f"a scorer of the kind {self.kind} gives raw scores: a classifier makes answers of them.")

    @classmethod
    @abstractmethod
    def build(cls, arguments: Mapping[str, Any], tensors: "Mapping[str, Tensor]", folder: Path) -> "Scorer":
        """The scorer of a bundle in `folder`; raises BundleError when its parts do not fit each other."""


SCORERS: Registry[type[Scorer]] = Registry(
    "scorer",
    "linnaea.classifier.scorers",
    title="Scorers",
    use="What a classifier is made of; loaded with its bundle.",
)
