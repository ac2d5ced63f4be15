"""A whole classifier as files of another runtime: what such scorers share."""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from linnaea.arrays import Array, Images
from linnaea.classifier.scorers.contract import Scorer
from linnaea.decisions import Outputs
from linnaea.errors import BundleError, MissingExtraError
from linnaea.runtime.machine import available_threads

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = ("raw_scores", "logits", "probabilities", "ood_score")
OF_MEMBERS = "uncertainty"  # a fifth one, of a model that answers by several members
AT_ONCE = 32  # images
ARGUMENTS = ("ood_score", "precision")
PLAIN = "fp32"  # the precision where none is told


class WholeScorer(Scorer):
    """What `linnaea export` wrote: calibrated probabilities and OOD scores from the files of a runtime themselves.

    `ood_score` names the familiarity score inside (None: there is none), `precision` the format of weights and
    arithmetic. A subclass says how it is run, by a module of `linnaea.classifier.sessions`, and which extra of ours
    brings the runtime. `together` says that several threads may call a session at once.
    """

    whole = True
    session: ClassVar[ModuleType]
    extra: ClassVar[str] = "export"
    together: ClassVar[bool] = False
    threads: ClassVar[int | None] = None  # of a session; None: as many as this process may use

    def __init__(self, folder: Path, ood_score: str | None, precision: str = PLAIN) -> None:
        self.folder, self.ood_score, self.precision = folder, ood_score, precision
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["WholeScorer"], tuple[Path, str | None, str]]:  # a copy opens its own session
        return type(self), (self.folder, self.ood_score, self.precision)

    @property
    def arguments(self) -> dict[str, Any]:
        """The name of the familiarity score inside, and the precision."""
        return {"ood_score": self.ood_score, "precision": self.precision}

    def files(self) -> Mapping[str, Path]:
        """What the runtime reads."""
        return {name: self.folder / name for name in self.session.FILES}

    @classmethod
    def require_runtime(cls) -> None:
        """Raise MissingExtraError where a package is missing that runs the files."""
        for library in cls.session.NEEDS:
            if importlib.util.find_spec(library) is None:
                raise MissingExtraError(library, cls.extra)

    @cached_property
    def _opened(self) -> Any:
        self.require_runtime()
        try:
            return self.session.Session(self.folder, available_threads() if self.threads is None else self.threads)
        except Exception as error:  # every runtime has errors of its own
            named = " ".join(str(error).split())
            raise BundleError(
                f"{self.folder / self.session.FILES[0]} cannot be opened by {self.session.NEEDS[0]} ({named}): "
                "export again."
            ) from error

    def outputs(self, images: Images) -> Outputs:
        """Raw scores, logits, probabilities and OOD scores of images (N, S, S, C)."""
        starts = range(0, len(images), AT_ONCE)
        parts = [self._run(np.ascontiguousarray(images[start : start + AT_ONCE])) for start in starts]
        raw, logits, probabilities, scores, *more = (np.concatenate(column) for column in zip(*parts, strict=True))
        strange = scores if self.ood_score is not None else None
        return Outputs(raw, logits, probabilities, strange, more[0] if more else None)

    def _run(self, images: Images) -> list[Array]:
        with self._lock:  # opened once, and by most runtimes used by one thread at a time
            opened = self._opened
            outputs = None if self.together else opened.run(images)
        return self._checked(opened.run(images) if outputs is None else outputs, len(images))

    def _checked(self, outputs: Sequence[Array], count: int) -> list[Array]:
        """The outputs, raising BundleError unless they are those that an export has, a row for each image."""
        parts = [np.asarray(output) for output in outputs]
        shapes = [part.shape for part in parts]
        if len(parts) in (len(OUTPUTS), len(OUTPUTS) + 1):
            wide = shapes[0]
            expected = [wide, wide, wide, (count,), (count, 3)][: len(parts)]
            if len(wide) == 2 and wide[0] == count and shapes == expected:
                return parts
        raise BundleError(
            f"{self.folder / self.session.FILES[0]} gives {count} images outputs of the shapes "
            f"{', '.join(map(str, shapes)) or 'of none'}; expected {', '.join(OUTPUTS)}, a row for each image."
        )

    @classmethod
    def build(cls, arguments: Mapping[str, Any], tensors: "Mapping[str, Tensor]", folder: Path) -> "WholeScorer":
        """The files beside the description."""
        strange = [name for name in arguments if name not in ARGUMENTS]
        inside, precision = arguments.get("ood_score", 0), arguments.get("precision", PLAIN)
        if strange or not isinstance(inside, str | None) or not isinstance(precision, str):
            raise BundleError(
                f"the arguments of the scorer are {dict(arguments)}; expected the name of an ood_score, and a "
                "precision."
            )
        cls.require_runtime()
        return cls(folder, inside, precision)
