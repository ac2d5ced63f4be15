"""The contract of an output format."""

from collections.abc import Callable
from pathlib import Path

from linnaea.predictions import Predictions
from linnaea.registry import Registry
from linnaea.runtime.files import write_text

Writer = Callable[[Predictions, Path | None], str]  # to text, which is also written where a file is given
FORMATS: Registry[Writer] = Registry(
    "output format",
    "linnaea.delivery.answers",
    title="Output formats",
    use="Chosen with `linnaea predict --format`.",
)


def written(to_text: Callable[[Predictions], str]) -> Writer:
    """A writer of the text that predictions are made to."""

    def write(predictions: Predictions, out: Path | None) -> str:
        text = to_text(predictions)
        if out is not None:
            write_text(out, text + "\n")
        return text

    return write
