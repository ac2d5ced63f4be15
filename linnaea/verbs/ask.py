"""`ask`: which images to label next."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import ImageFiles, Machine, Only, Option, Preparation, checks
from linnaea.options.things import Answering, AsJson, GuardFormulas
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.asking.choosing import Asked


def tell(
    answer: Callable[[], "Asked"],
    given: Mapping[str, Any],
    *,
    out: Annotated[Path | None, Option("CSV file to write, with a row per image. Default: none.", read=Path)] = None,
    as_json: AsJson = False,
    guard_formulas: GuardFormulas = True,
) -> None:
    """Say which images to label, what that would have brought, and what comes next."""
    asked = answer()
    if out is not None:
        asked.write(out, guard_formulas=guard_formulas)
    if as_json:
        say_json(asked.to_json())
        return
    say_text(str(asked))
    if out is not None:
        say(f"They are listed in {out}.", f"Next: linnaea review {given['classifier']} --from {out}")


@VERBS.register(
    "ask",
    title="Ask",
    meaning="Choose which images without labels to label next, with what random choice would bring beside it.",
    order=45,
)
@told_by(tell)
def ask(
    classifier: Answering,
    images: ImageFiles,
    *,
    n: Annotated[int, Option("How many images to choose.", checks.at_least(1, "images", 50))] = 50,
    method: Annotated[
        str,
        Option(
            "What to choose them by: {names}.",
            checks.member("query strategy", "linnaea.learning.queries"),
            names=checks.names("query strategy", "linnaea.learning.queries"),
        ),
    ] = "margin",
    estimate: Annotated[
        bool,
        Option(
            "Estimate, on images of the run, what choosing so brings beside random choice. Default: on.",
            flags=("--estimate/--no-estimate",),
        ),
    ] = True,
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("seed", "device")] = Machine(),
) -> "Asked":
    """Choose the `n` images that are most worth labelling, by a query strategy.

    Images of the run itself, copies and what cannot be read are left out and counted; of images that are nearly the
    same one is chosen. `estimate` asks in retrospect: of the run's own images, some count as labelled and others as
    not, and heads on the classifier's features learn from those that the `method` chooses, or from as many at random;
    the difference comes with its interval, and where none is shown, that is said. An exported folder gives no features:
    strategies that need them ask for the run. Raises UsageError for a method that the classifier cannot serve,
    DataError where no image is left.
    """
    from linnaea.dataset import Dataset
    from linnaea.experiments.asking.choosing import ask_next, run_of
    from linnaea.experiments.finished_run import finished_classifier, placed
    from linnaea.experiments.image_files import image_files

    answering = placed(finished_classifier(classifier), preparation.max_pixels, machine.device)
    paths = images.paths if isinstance(images, Dataset) else image_files(images)
    run = run_of(classifier, answering)
    return ask_next(answering, run, paths, n, method, seed=machine.seed, estimate=estimate)
