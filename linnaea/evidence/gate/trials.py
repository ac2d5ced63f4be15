"""Quick trials on the run's own images: other light, something in the way, blur, and images that show no class."""

from typing import Annotated

from linnaea.evidence.gate.changes import CHANGES
from linnaea.evidence.gate.contract import METRICS, RULES, Case, Judgement
from linnaea.evidence.gate.held import AT_LEAST, AT_MOST, Held, held
from linnaea.evidence.gate.parameters import Parameter

TRIAL = "a quick trial on its own images"
IMAGES = 200
Images = Annotated[int, Parameter("Images of the hold-out to try it on.", 20)]
Lost = Annotated[float, Parameter("Most of the task's metric that a change may cost, by its whole interval.", 0, 1)]


@RULES.register("lighting", title="Other light", order=130, trial=True, cost="minutes")
def lighting(case: Case, *, most: Lost = 0.15, images: Images = IMAGES) -> Judgement:
    """Darker, brighter and flatter images are still recognised: what is lost, by paired intervals."""
    return _lost(case, "lighting", most, images)


@RULES.register("occlusion", title="Something in the way", order=140, trial=True, cost="minutes")
def occlusion(case: Case, *, most: Lost = 0.2, images: Images = IMAGES) -> Judgement:
    """Images of which a grey patch hides a tenth are still recognised: what is lost, by a paired interval."""
    return _lost(case, "occlusion", most, images)


@RULES.register("damage", title="Blur and compression", order=150, trial=True, cost="minutes")
def damage(case: Case, *, most: Lost = 0.15, images: Images = IMAGES) -> Judgement:
    """Blurred images and strongly compressed ones are still recognised: what is lost, by paired intervals."""
    return _lost(case, "damage", most, images)


def _lost(case: Case, kind: str, most: float, images: int) -> Judgement:
    names = [name for name, change in CHANGES.items() if change.kind == kind]
    found = case.look.lost(names, images)
    facts = [
        Held(
            f"what {CHANGES[name].title} costs in {case.metric}",
            figure,
            AT_MOST,
            most,
            TRIAL,
            is_share=False,
            unit="points",
        )
        for name, figure in found.items()
    ]
    mend = "Train with such changes (`linnaea train --augment`), or say in the limits that it is not for such images."
    return held(facts, mend, f"{len(facts)} of {len(facts)} changes cost little." if len(facts) > 1 else "")


@RULES.register("strangers", title="Strangers are turned away", order=160, trial=True, cost="minutes")
def strangers(
    case: Case,
    *,
    least: Annotated[float, Parameter("Least share of unknown images that is not answered as if known.", 0, 1)] = 0.5,
    images: Images = IMAGES,
) -> Judgement:
    """Images of none of the classes are called unfamiliar: by `evaluate --unknown`, else by made-up strangers."""
    shown = {name: figures for name, figures in case.metrics.items() if name.partition("-")[0] == "openset"}
    real = {name: figures["unknown_rejected"] for name, figures in shown.items() if "unknown_rejected" in figures}
    noun = ("unknown image", "unknown images")
    facts = [
        Held(f"the share of {_named(name)} called unfamiliar", figure, AT_LEAST, least, METRICS, noun)
        for name, figure in real.items()
    ]
    mend = "Train with another --ood score or a higher --unfamiliar-rate, or with such images as a class of their own."
    if facts:
        return held(facts, mend)
    made = case.look.strangers(images)
    facts = [
        Held(f"the share of {name} that is not answered", figure, AT_LEAST, least, TRIAL, noun)
        for name, figure in made.items()
    ]
    only = "Of made-up strangers only: `linnaea evaluate RUN --unknown FOLDER` tries real ones."
    return held(facts, mend, only)


def _named(name: str) -> str:
    """The unknown images of an entry of metrics.json."""
    told = name.removeprefix("openset").removeprefix("-").rpartition("-")[0]
    return f"the images of {told}" if told else "the classes that were held out"
