"""`adapt_prior`: the classifier of a run for images among which the classes have other shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option, RunFolder
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.classifier import Classifier
    from linnaea.dataset import Dataset

Unlabelled = Annotated[
    "str | Path | Dataset | Sequence[str | Path] | None", Option("Images without labels to estimate the shares from.")
]


@VERBS.register(
    "adapt_prior",
    title="Adapt to other shares",
    meaning="The classifier of a run for images among which the classes have other shares.",
    order=46,
    command=False,
)
def adapt_prior(
    run: RunFolder,
    prior: Annotated[Mapping[str, float] | None, Option("Share of each class, by name.")] = None,
    *,
    images: Unlabelled = None,
) -> "Classifier":
    """A run's classifier for images among which the classes have other shares than in the run's data.

    `prior` states them by name, such as {"sick": 0.01}, classes not named keep their proportions; or they are estimated
    from `images`, which need no labels (Saerens et al. 2002). Probabilities, thresholds, prediction sets and the
    threshold of confidence follow. The run stays as it is: save the classifier to keep it. Raises UsageError or
    DataError.
    """
    from linnaea.experiments.adaptation import adapted
    from linnaea.run import Run

    return adapted(run if isinstance(run, Run) else Run.open(run), prior, images)
