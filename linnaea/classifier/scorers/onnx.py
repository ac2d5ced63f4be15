"""A whole classifier as an ONNX file, run by onnxruntime."""

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier.scorers.contract import SCORERS, Scorer
from linnaea.decisions import Outputs
from linnaea.errors import BundleError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

FILE = "model.onnx"
OUTPUTS = ("raw_scores", "logits", "probabilities", "ood_score")
OF_MEMBERS = "uncertainty"  # a fifth one, of a model that answers by several members
AT_ONCE = 32  # images


@SCORERS.register("onnx", title="ONNX file", meaning="A whole classifier as one ONNX file, run by onnxruntime.")
class OnnxScorer(Scorer):
    """What `linnaea export --to onnx` wrote: calibrated probabilities and OOD scores from the file itself.

    `ood_score` names the familiarity score inside (None: there is none).
    """

    kind = "onnx"
    whole = True

    def __init__(self, file: Path, ood_score: str | None) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise MissingExtraError("onnxruntime", "export")
        self.file, self.ood_score = file, ood_score

    @property
    def arguments(self) -> dict[str, Any]:
        """The name of the familiarity score inside."""
        return {"ood_score": self.ood_score}

    def files(self) -> Mapping[str, Path]:
        """The one file."""
        return {FILE: self.file}

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(str(self.file), providers=["CPUExecutionProvider"])
        except (RuntimeError, ValueError, OSError) as error:
            raise BundleError(f"{self.file} cannot be opened by onnxruntime ({error}): export again.") from None
        names = [output.name for output in session.get_outputs()]
        if names not in ([*OUTPUTS], [*OUTPUTS, OF_MEMBERS]):
            raise BundleError(f"{self.file} has the outputs {', '.join(names)}; expected {', '.join(OUTPUTS)}.")
        return session

    def outputs(self, images: Images) -> Outputs:
        """Raw scores, logits, probabilities and OOD scores of images (N, S, S, 3)."""
        starts = range(0, len(images), AT_ONCE)
        parts = [self._session.run(None, {"images": images[start : start + AT_ONCE]}) for start in starts]
        raw, logits, probabilities, scores, *more = (np.concatenate(column) for column in zip(*parts, strict=True))
        strange = scores if self.ood_score is not None else None
        return Outputs(raw, logits, probabilities, strange, more[0] if more else None)

    @classmethod
    def build(cls, arguments: Mapping[str, Any], tensors: "Mapping[str, Tensor]", folder: Path) -> "OnnxScorer":
        """The file beside the description."""
        if set(arguments) != {"ood_score"} or not isinstance(arguments["ood_score"], str | None):
            raise BundleError(f"the arguments of the scorer are {dict(arguments)}; expected the name of an ood_score.")
        return cls(folder / FILE, arguments["ood_score"])
