"""`predict`: answers for image files."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import ImageFiles, Machine, Only, Option, Preparation, checks
from linnaea.options.things import Answering, AsJson, Damaged, GuardFormulas, Trusted
from linnaea.runtime.saying import say, say_data, say_json
from linnaea.runtime.words import counted
from linnaea.verbs.calling import call
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.score import ScoredOn, score

if TYPE_CHECKING:
    from linnaea.experiments.scoring import Scored
    from linnaea.predictions import Predictions


def tell(
    answer: Callable[[], "Predictions"],
    given: Mapping[str, Any],
    *,
    output_format: Annotated[
        str | None,
        Option(
            "{names}. Default: by the ending of --out, else table.",
            checks.member("output format", "linnaea.delivery.answers"),
            names=checks.names("output format", "linnaea.delivery.answers"),
            flags=("--format",),
        ),
    ] = None,
    out: Annotated[Path | None, Option("File to write. Default: standard output.", read=Path)] = None,
    guard_formulas: GuardFormulas = True,
    on: ScoredOn = "here",
    as_json: AsJson = False,
) -> None:
    """Print the answers or write them to a file, and count their reasons.

    A Parquet file is made part by part, however many images there are.
    """
    from linnaea.delivery.answers import writer_for

    if as_json and out is None and output_format not in (None, "json"):
        raise UsageError(f"--json and --format {output_format} are two forms of the same answers: leave one out.")
    given_format = "json" if as_json and out is None else output_format
    write = writer_for(given_format, out, guard_formulas=guard_formulas)  # refused before any work is done
    if out is not None and (output_format or out.suffix.lower().removeprefix(".")) == "parquet":
        _tell_scored(call(score, {**given, "out": out, "on": on}), as_json=as_json)
        return
    if on != "here":
        raise UsageError(f"--on {on} writes a Parquet file: add --out scores.parquet.")
    answers = answer()
    text, reasons = write(answers, out), Counter(answers.column("reason"))
    if as_json and out is not None:
        say_json({"file": str(out), "images": len(answers), "reasons": dict(reasons)})
        return
    if out is None:
        say_data(text)
    else:
        say(f"The answers are in {out}.")
    say(f"{counted(len(answers), 'image')}: {', '.join(f'{n} {name}' for name, n in reasons.items())}.", err=True)


def _tell_scored(scored: "Scored", *, as_json: bool) -> None:
    if as_json:
        say_json(scored.to_json())
        return
    say(f"The answers are in {scored.file}.")
    say(str(scored), err=True)


@VERBS.register(
    "predict",
    title="Predict",
    meaning="Classify image files: label, confidence, prediction set, OOD score and a reason for each.",
    order=52,
)
@told_by(tell)
def predict(
    classifier: Answering,
    images: ImageFiles,
    *,
    damaged: Damaged = "refuse",
    trust: Trusted = (),
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("precision", "device")] = Machine(precision="float32"),
) -> "Predictions":
    """Answer for image files; folders and archives among them stand for the images in them.

    What else lies there is counted, with the reason. `precision` and `damaged` are as for `Classifier.predict`,
    `device` is where it computes ("auto": the best there is that the classifier can go to); images of more than
    `max_pixels` (None: as in training) are not decoded. Where keys are to `trust`, one of them must have signed the
    classifier. Raises DataError for a path that does not exist and a folder
    without images.
    """
    from linnaea.dataset import Dataset
    from linnaea.experiments.finished_run import finished_classifier, placed
    from linnaea.experiments.image_files import image_files

    paths = images if isinstance(images, Dataset) else image_files(images)
    answering = placed(finished_classifier(classifier, trust or None), preparation.max_pixels, machine.device)
    return answering.predict(paths, precision=machine.precision, damaged=damaged)
