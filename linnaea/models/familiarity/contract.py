"""The contract of a familiarity score."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from linnaea.errors import BundleError, LinnaeaError
from linnaea.registry import Registry
from linnaea.runtime.arguments import require_all, require_types


class Familiarity(nn.Module):
    """Features (N, D) and logits (N, K) of images to a score (N,) that grows with strangeness.

    The logits are the model's own, before any temperature, so that calibration leaves the scores as they are. `kind` is
    the score's name in `FAMILIARITIES`, `arguments` the JSON-typed arguments that build it anew; what was fitted lies
    in buffers. Only operations that export are used.
    """

    kind: str

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,)."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What `build_familiarity` builds it from."""
        return {"kind": self.kind, "arguments": self.arguments}


FAMILIARITIES: Registry[type[Familiarity]] = Registry("familiarity score")


def build_familiarity(description: Any) -> Familiarity:
    """Make an unfitted score from what `describe` said; raises BundleError when it says something else."""
    described = isinstance(description, Mapping) and set(description) == {"kind", "arguments"}
    if not described or not isinstance(description["arguments"], Mapping):
        raise BundleError(
            f"the familiarity score is described as {description!r}; expected its kind and arguments: train again."
        )
    try:
        score, arguments = FAMILIARITIES[description["kind"]], description["arguments"]
        require_types(score, arguments)
        built = score(**arguments)
        require_all(built.arguments, arguments)
    except (TypeError, RuntimeError, ValueError, LookupError, ArithmeticError, LinnaeaError) as error:
        raise BundleError(f"cannot build the familiarity score {dict(description)}: {error}") from error
    return built
