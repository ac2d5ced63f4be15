"""What the classifier promises, and what it decides for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in

# Of options that two groups have.
COVERAGE = Option("Share of images whose prediction set must contain the true class.", checks.share(0.9))
UNSURE_RATE = Option("Share of images of the known classes that may be answered 'unsure'.", checks.share(0.05))
UNFAMILIAR_RATE = Option("Share of images of the known classes that may be called 'unfamiliar'.", checks.share(0.05))
AIM = Option(
    "What to choose thresholds for: {names}, as in recall=0.95 or cost=1:5. Default: the likelier of two "
    "classes; with several labels, the highest F1 of each.",
    checks.member("aim", "linnaea.evidence.aims"),
    names=checks.names("aim", "linnaea.evidence.aims"),
)
RISK = Option("With a taxonomy: the highest expected share of wrong answers. Default: 0.1.", checks.share(0.1))
CALIBRATOR = Option(
    "Calibrator that makes probabilities of scores: auto, {names}.",
    checks.member("calibrator", "linnaea.classifier.calibrators", also=("auto",)),
    names=checks.names("calibrator", "linnaea.classifier.calibrators"),
)
SETS = Option(
    "Method of the prediction sets: {names}. Default: lac; with several labels, risk.",
    checks.member("set method", "linnaea.evidence.conformal"),
    names=checks.names("set method", "linnaea.evidence.conformal"),
)


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Decision(Options):
    """What answers promise, and what decides them.

    `coverage`, `unsure_rate` and `unfamiliar_rate` are shares in (0, 1). `ood` names the score by which images are
    unfamiliar ("auto": the blend; "none": no image is). `hold_out` names classes that are left out of everything but
    one figure: how many of their images are recognised as unknown. `aim` says what the thresholds are chosen for where
    there are two classes or several labels per image, such as "recall=0.95" (None: the likelier class, and the highest
    F1 of each label); `positive` which of two classes an aim is about (None: the second by name). `risk` is the share
    of wrong answers to expect at most where classes lie below groups, as answers roll up to groups for it (None: 0.1).
    `calibrator` makes probabilities of scores ("auto": chosen on val by cross-validation). `sets` is the method of the
    prediction sets (None: lac or, of several labels, risk).
    """

    title = "Decisions"

    coverage: Annotated[float, COVERAGE] = 0.9
    unsure_rate: Annotated[float, UNSURE_RATE] = 0.05
    unfamiliar_rate: Annotated[float, UNFAMILIAR_RATE] = 0.05
    ood: Annotated[
        str,
        Option(
            "Score to recognise unfamiliar images by: auto, none, energy, knn or another.",
            checks.member("familiarity score", "linnaea.models.familiarity", also=("auto", "none")),
        ),
    ] = "auto"
    hold_out: Annotated[
        Sequence[str] | None,
        Option(
            "Classes, separated by commas, to leave out and use as unknown images in evaluation. Default: none.",
            read=names_in,
        ),
    ] = None
    aim: Annotated[str | None, AIM] = None
    positive: Annotated[str | None, Option("Positive class, for two-class data. Default: the second by name.")] = None
    risk: Annotated[float | None, RISK] = None
    calibrator: Annotated[str, CALIBRATOR] = "auto"
    sets: Annotated[str | None, SETS] = None


def _of_the_run(option: Option) -> Option:
    """The same option where what a run was trained with is the default."""
    text = option.text.partition(" Default:")[0]
    return Option(f"{text} Default: as the run was trained.", option.check, names=option.names)


@dataclass(frozen=True, eq=False, repr=False)
class Redecision(Options):
    """What a run that is finished is to promise and decide anew; None is what it was trained with.

    Each is as in `Decision`.
    """

    title = "Decisions"

    coverage: Annotated[float | None, _of_the_run(COVERAGE)] = None
    unsure_rate: Annotated[float | None, _of_the_run(UNSURE_RATE)] = None
    unfamiliar_rate: Annotated[float | None, _of_the_run(UNFAMILIAR_RATE)] = None
    aim: Annotated[str | None, _of_the_run(AIM)] = None
    risk: Annotated[float | None, _of_the_run(RISK)] = None
    calibrator: Annotated[str | None, _of_the_run(CALIBRATOR)] = None
    sets: Annotated[str | None, _of_the_run(SETS)] = None
