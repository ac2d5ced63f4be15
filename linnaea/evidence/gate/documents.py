"""Whether what only people know is written down: where the data comes from, how it was labelled, its limits."""

from collections.abc import Sequence
from typing import Annotated

from linnaea.data.datasheet import FILE, KEYS
from linnaea.errors import UsageError, suggest
from linnaea.evidence.gate.contract import FAIL, PASS, RULES, Case, Evidence, Judgement
from linnaea.evidence.gate.parameters import Parameter

Questions = Annotated[Sequence[str], Parameter("Questions of the datasheet that must have an answer.")]


@RULES.register("provenance", title="Provenance and rights are written down", order=180)
def provenance(case: Case, *, answered: Questions = ("provenance", "collection", "licence")) -> Judgement:
    """The datasheet says where the images come from, how they were taken, and under which licence they may be used."""
    return _answered(case, "provenance", answered)


@RULES.register("labelling", title="The labelling protocol is written down", order=190)
def labelling(case: Case, *, answered: Questions = ("labelling", "annotators")) -> Judgement:
    """The datasheet says by which protocol each label was decided, and by whom."""
    return _answered(case, "labelling", answered)


@RULES.register("limits", title="Use and limits are written down", order=200)
def limits(case: Case, *, answered: Questions = ("intended_use", "unsuitable_use", "limits")) -> Judgement:
    """The datasheet says what the classifier is for, what it is not for, and which limits are known."""
    return _answered(case, "limits", answered)


def _answered(case: Case, rule: str, keys: Sequence[str]) -> Judgement:
    strange = next((key for key in keys if key not in KEYS), None)
    if strange is not None:
        raise UsageError(
            f"{rule}.answered names {strange!r}, which is no question of a datasheet: expected some of "
            f"{', '.join(KEYS)}.{suggest(strange, KEYS)}"
        )
    sheet = case.sheet
    lacking = [key for key in keys if not sheet[key]]
    facts = [Evidence(f"the answer to “{key}”", FILE, FAIL if key in lacking else PASS) for key in keys]
    if not lacking:
        return Judgement(PASS, f"The datasheet answers {_listed(keys)}.", facts)
    place = case.run.folder / FILE
    return Judgement(FAIL, f"The datasheet does not answer {_listed(lacking)}.", facts, f"Answer them in {place}.")


def _listed(keys: Sequence[str]) -> str:
    named = [key.replace("_", " ") for key in keys]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
