"""Objects in JSON."""

import json

from linnaea.delivery.answers.contract import FORMATS, written
from linnaea.predictions import Predictions


def as_json(predictions: Predictions) -> str:
    """A list of objects, with the probability of every class."""
    probabilities = predictions.column("probabilities")
    rows = [
        {**answer, "probabilities": None if row is None else dict(zip(predictions.classes, row, strict=True))}
        for answer, row in zip(predictions, probabilities, strict=True)
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


FORMATS.register("json", title="JSON", meaning="A list of objects, with the probability of every class.", order=3)(
    written(as_json)
)
