"""What the page is told of the server: what its models know, and what it takes."""

from collections.abc import Callable
from typing import Any

from linnaea.classifier import Classifier
from linnaea.data.images.opening import FORMATS
from linnaea.decisions import by_common_threshold
from linnaea.delivery.serving.contract import ServedModel, ServedModels
from linnaea.delivery.serving.limits import Limits

Explains = Callable[[Classifier], str | None]  # the method by which heat maps are made; None: there are none


def facts_of(models: ServedModels, limits: Limits, client: str, explains: Explains) -> dict[str, Any]:
    """The models that answer this client by name, the limits that a picture can meet, and the kinds of files."""
    return {
        "models": [_model(models.chosen(client, name), explains) for name in models.names],
        "limits": {"bytes": limits.max_body},
        "formats": [f"image/{name.lower()}" for name in limits.formats or FORMATS],
    }


def _model(served: ServedModel, explains: Explains) -> dict[str, Any]:
    classifier = served.classifier
    policy = classifier.policy
    return {
        "name": served.name,
        "version": served.version,
        "classes": list(classifier.classes),
        "task": classifier.task,
        "policy": {"confidence_threshold": policy.confidence_threshold, "ood_threshold": policy.ood_threshold},
        "said": by_common_threshold(policy) or None,
        "explains": explains(classifier),
    }
