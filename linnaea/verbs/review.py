"""`review`: the images that somebody should look at, in a page that files their labels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Machine, Only, Option, Preparation, checks
from linnaea.options.things import Answering
from linnaea.runtime.saying import say, say_json
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.reviewing.gathering import Review


def tell(
    answer: Callable[[], "Review"],
    given: Mapping[str, Any],
    *,
    port: Annotated[int, Option("Port of the page on this machine. Default: a free one.")] = 0,
    as_json: Annotated[bool, Option("Print the list as JSON, and serve no page.", flags=("--json",))] = False,
) -> None:
    """Serve the page until whoever reviews has finished, then say what came of it; or print the list."""
    review = answer()
    if as_json:
        say_json(review.to_json())
        return
    from linnaea.delivery.reviewing.server import Served
    from linnaea.delivery.reviewing.session import Session

    session = Session(review.items, review.rules, review.folder, review.after)
    with Served(session, port) as served:
        say(str(review), f"Open {served.address} in a browser of this machine. Finish there, or here with Ctrl-C.")
        try:
            served.wait()
        except KeyboardInterrupt:
            say("")
    say(f"{session.filed} labelled of {len(review.items)}, in {review.folder.folder}.")
    if session.filed:
        say(*(f"Next: {command}" for command in review.after))


@VERBS.register(
    "review",
    title="Review",
    meaning="Label the images in most doubt in a page: of a server's log, a folder, or the run itself.",
    order=46,
)
@told_by(tell)
def review(
    classifier: Answering,
    *,
    source: Annotated[
        str | Path | None,
        Option(
            "What to look at: the log of a server that kept images, a folder of images, or a list that `ask` wrote. "
            "Default: what the run got wrong on val, was in doubt about, or its audit names.",
            checks.files,
            flags=("--from",),
            read=Path,
        ),
    ] = None,
    out: Annotated[
        str | Path | None, Option("Folder for the labelled images. Default: RUN-review, beside the run.", read=Path)
    ] = None,
    most: Annotated[int, Option("How many images to show at most.", checks.at_least(1, "images", 200))] = 200,
    answers: Annotated[
        str,
        Option(
            "When the page shows what the classifier said: after a choice or on request, so that labels are not "
            "swayed by it, or before.",
            checks.one_of("after", "before"),
        ),
    ] = "after",
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Review":
    """List the images that somebody should look at, those in most doubt first; the command serves them in a page.

    Doubt is what the confidence lacks to 1, and more where an image is unfamiliar; of the run's own images those that
    it got wrong on val count, and those whose labels its audit doubts. The page is served on this machine only. Each
    label goes into the folder `out`, whose images and labels `linnaea.train` takes as they are; what is there already
    is not asked again. Raises DataError where there is nothing to look at, UsageError where `out` is the folder of
    something else.
    """
    from linnaea.experiments.asking.choosing import run_of
    from linnaea.experiments.finished_run import finished_classifier, placed
    from linnaea.experiments.reviewing.gathering import gathered, with_next

    answering = placed(finished_classifier(classifier), preparation.max_pixels, machine.device)
    run = run_of(classifier, answering)
    place = Path(out) if out is not None else _beside(classifier, run)
    found = gathered(answering, run, None if source is None else Path(source), place, most, before=answers == "before")
    labels = quote(str(place))
    if run is None:
        commands = [f"linnaea train {labels}"]
    elif source is None:  # labels of images that the run has already, which train puts in place of the former ones
        commands = [f"linnaea train {quote(str(run.dataset().root))} --also {labels}"]
    else:
        commands = [f"linnaea retrain {quote(str(run.folder))} --review {labels}", f"linnaea train {labels}"]
    return with_next(found, [f"linnaea audit {labels}", *commands])


def _beside(classifier: Any, run: Any) -> Path:
    """A folder beside the run or the classifier."""
    folder = run.folder if run is not None else classifier
    if not isinstance(folder, str | Path):
        return Path("review")
    whole = Path(folder).resolve()
    return whole.with_name(f"{whole.name}-review")
