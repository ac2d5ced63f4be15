"""Which familiarity score a classifier gets, and its fit."""

import numpy as np
import torch

from linnaea.arrays import Floats, Targets
from linnaea.errors import UsageError
from linnaea.models.ensembles import Mixture
from linnaea.models.familiarity import FAMILIARITIES, Familiarity, Known, suits
from linnaea.models.model import Model

DEFAULT = "blend"
WORDS = ("auto", "none")


def require_score(name: str, *, several: bool = False, members: bool = True) -> None:
    """Raise UsageError for a name that is none, one that several labels have no use for, and one without `members`."""
    if name in WORDS:
        return
    if not members and not suits(name, several=False):
        raise UsageError(
            f"the score {name!r} is made of what several members say, and one model alone has none: add --uncertainty, "
            "such as --uncertainty laplace, or take auto."
        )
    if not suits(name, several=several, members=True):
        fitting = ", ".join(other for other in FAMILIARITIES if suits(other, several=True))
        raise UsageError(
            f"the score {name!r} compares classes of which exactly one is correct, but these images may have several "
            f"labels: take auto or one of {fitting}."
        )


def _require_head(name: str, model: Model) -> None:
    """Raise UsageError for a score that is made of the weights of a linear head where the model has none."""
    if name in WORDS or suits(name, several=False, linear=model.linear, members=True):
        return
    fitting = ", ".join(other for other in FAMILIARITIES if suits(other, several=False, linear=False))
    raise UsageError(
        f"the score {name!r} is made of the weights of a linear head, and that of the {model.kind} model is not "
        f"linear: take auto or one of {fitting}."
    )


@torch.no_grad()
def fit_familiarity(
    model: Model, features: Floats, targets: Targets, *, fresh: Floats | None = None, name: str = "auto"
) -> Familiarity | None:
    """Fit the score `name` to a model's features (N, D) of training images; None where there is to be none.

    "auto" is the blend, "none" no score; nor is there one where the features have a single dimension. `targets` are
    class indices (N,) or, of several labels, 0, 1 and NaN (N, K); `fresh` features (M, D) of known images that the
    model was not trained on. Raises UsageError as `require_score` does, and for a score that the head is not fit for.
    """
    require_score(name, several=targets.ndim == 2)
    _require_head(name, model)
    if name == "none" or features.shape[1] < 2:
        return None
    require_score(name, members=isinstance(model, Mixture))
    known = Known.of(model, np.asarray(features, dtype=np.float32), targets, fresh)
    return FAMILIARITIES[DEFAULT if name == "auto" else name].fit(known).eval()
