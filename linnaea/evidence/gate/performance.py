"""How good it is: the figure of the task, its interval, and whether guessing does as well."""

import math
from typing import Annotated

from linnaea.evidence.gate.contract import (
    FAIL,
    METRICS,
    PASS,
    RULES,
    TOO_FEW,
    Case,
    Evidence,
    Judgement,
    NotDoneError,
)
from linnaea.evidence.gate.held import AT_LEAST, Held, held
from linnaea.evidence.gate.parameters import Parameter
from linnaea.evidence.outlook import images_to_clear
from linnaea.runtime.words import counted

GUESSING = "guessing"


@RULES.register("guessing", title="Better than guessing", order=30)
def guessing(
    case: Case,
    *,
    worthwhile: Annotated[float, Parameter("A gain over guessing below which it fails, by its interval.", 0, 1)] = 0.05,
) -> Judgement:
    """On the test split it is shown to be better than the same answer for every image."""
    case.require_test()
    found = case.findings(GUESSING, "Train again with the rung `majority` on the ladder.")
    told = next((finding for finding in found if finding.name == GUESSING), None)
    if told is None or told.figure is None:
        raise NotDoneError("it is the guess itself, or the metric is not defined.", "Train a model that looks.")
    figure = told.figure
    lost = figure.hi is not None and figure.hi < worthwhile
    outcome = PASS if told.severity == "info" else FAIL if lost else TOO_FEW
    total = images_to_clear(figure, 0.0, is_share=False) if outcome == TOO_FEW else None
    needed = None if total is None else max(1, math.ceil(total) - figure.n)
    file = f"findings/{GUESSING}.json"
    facts = [Evidence("difference to the guess", file, outcome, figure, "more than 0", needed)]
    if outcome == PASS:
        return Judgement(PASS, told.summary, facts)
    if outcome == FAIL:
        return Judgement(FAIL, told.summary, facts, "Train a model that is better than guessing.")
    more = f" About {needed:,} more would decide it, should it stay there." if needed else ""
    mend = "Add images to the test split, or train a better model."
    return Judgement(TOO_FEW, f"Too few images to tell: {told.summary}{more}", facts, mend)


@RULES.register("performance", title="The figure of the task", order=50)
def performance(
    case: Case,
    *,
    least: Annotated[float, Parameter("Least value of the task's metric, by its whole interval.", 0, 1)] = 0.7,
) -> Judgement:
    """The metric of the task (accuracy, of several labels mean average precision) is high enough, by its interval."""
    name = case.metric
    what = f"{'the accuracy' if name == 'accuracy' else name}"
    return held(
        [Held(what, case.figure(name), AT_LEAST, least, METRICS)],
        "Train a better model, with more data, other weights or a search (`linnaea tune`), or ask for less.",
    )


@RULES.register("interval_width", title="A figure that is known well enough", order=60, fails=False)
def interval_width(
    case: Case,
    *,
    widest: Annotated[float, Parameter("Widest 95 % interval of the task's metric.", 0.001, 1)] = 0.1,
) -> Judgement:
    """The interval of the task's metric is narrow enough to decide by; of one that is not, how many images it needs."""
    name = case.metric
    figure = case.figure(name)
    assert figure.lo is not None, "a figure of the case has an interval"
    assert figure.hi is not None, "a figure of the case has an interval"
    width = figure.hi - figure.lo
    asked = f"at most {100 * widest:.4g} points"
    told = (
        f"the interval of the {name} is {100 * width:.1f} points wide on {counted(figure.n, 'image')}, and {asked} are"
    )
    if width <= widest:
        facts = [Evidence(f"width of the interval of the {name}", METRICS, PASS, figure, asked)]
        return Judgement(PASS, f"T{told[1:]} asked.", facts)
    more = math.ceil(figure.n * ((width / widest) ** 2 - 1))
    facts = [Evidence(f"width of the interval of the {name}", METRICS, TOO_FEW, figure, asked, more)]
    return Judgement(
        TOO_FEW,
        f"Too few images to tell: {told} asked; about {more:,} more are needed.",
        facts,
        f"Add about {more:,} more images to the test split, or allow a wider interval.",
    )
