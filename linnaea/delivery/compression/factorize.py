"""Low-rank factors: layers become two or three thin ones that give nearly the same."""

from typing import Any

import numpy as np
import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, Wanted, Workshop
from linnaea.delivery.compression.factors import factored, require_factorable, responses_of
from linnaea.delivery.compression.prune import WHOLE_RATE, rows_of
from linnaea.delivery.compression.stepping import stepped, whole_training
from linnaea.errors import UsageError
from linnaea.models import Model
from linnaea.models.model import to_pixels

IMAGES, TOGETHER = 128, 16  # of train, whose responses are looked at
LOST_AT_MOST = 0.4  # of the squares of responses, at the greatest strength


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise UsageError for a model without a layer that can be factored."""
    require_factorable(classifier.model)


def factorize(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The network with layers of lower rank, trained on with the run as its teacher."""
    network = require_factorable(classifier.model)
    rows = rows_of(workshop, IMAGES)
    parts = np.array_split(rows, max(1, len(rows) // TOGETHER))
    responses = responses_of(network, (to_pixels(torch.from_numpy(np.asarray(workshop.train[some]))) for some in parts))

    def make(strength: float) -> Model:
        return factored(network, 1 - LOST_AT_MOST * strength**2, responses)

    training: dict[str, Any] = {"rate": WHOLE_RATE, "taught": True}
    step, tried = stepped(make, workshop, "factorize", **training)
    if step.model.arguments == network.arguments:
        if workshop.wanted.target is not None:
            return Compressed(
                classifier, [f"Low-rank factors had nothing to do: {workshop.wanted.target.text} was met before it."]
            )
        raise UsageError(
            f"no layer of {network.arguments['name']} saves work as thin ones without losing more than may be: use "
            "--method prune, or allow more with --max-drop."
        )
    ranks = step.model.arguments["operations"][-1]["ranks"]
    notes = workshop.tune(step.model, epochs=whole_training(workshop), **training)
    told = (
        f"{len(ranks)} layers became thin ones that keep {1 - LOST_AT_MOST * step.strength**2:.1%} of the squares of "
        "what they answer."
    )
    facts = {"strength": step.strength, "ranks": ranks, "tried": [one.to_json() for one in tried]}
    return Compressed(classifier.with_(scorer=scorer_of(step.model)), [told, *notes], facts)


COMPRESSORS.register(
    "factorize",
    title="Low-rank factors",
    meaning="Layers become two or three thin ones that give nearly the same; trained on.",
    cost="hours",
    takes=("torch",),
    trains=True,
    last=False,
)(Compressor(factorize, require))
