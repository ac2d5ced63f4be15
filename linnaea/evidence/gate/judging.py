"""The rules run one after the other, each to its verdict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from linnaea.evidence.gate.contract import NOT_DONE, OUTCOMES, RULES, WAIVED, Case, Evidence, Judgement, NotDoneError
from linnaea.evidence.gate.parameters import WAIVED as REASON
from linnaea.evidence.gate.parameters import settings_of


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a run: its outcome, why, the evidence, how to mend it, and the parameters it was run with."""

    rule: str
    title: str
    outcome: str
    sentence: str
    mend: str = ""
    evidence: Sequence[Evidence] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {"evidence": [asdict(one) for one in self.evidence]}


def judge_rules(case: Case, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    """The verdict of each rule in turn; `tables` are the parameters that were set, by rule, as `checked` returns."""
    for name in RULES:
        yield _verdict(name, case, tables.get(name, {}))


def _verdict(name: str, case: Case, table: Mapping[str, Any]) -> Verdict:
    title = RULES.about(name).title
    if REASON in table:
        return Verdict(name, title, WAIVED, f"Waived: {table[REASON]}", parameters=dict(table))
    parameters = {one.name: table.get(one.name, one.default) for one in settings_of(name).values()}
    try:
        found = RULES[name](case, **parameters)
    except NotDoneError as error:
        said = str(error)
        found = Judgement(NOT_DONE, f"{said[:1].upper()}{said[1:]}", mend=error.mend)
    assert found.outcome in OUTCOMES, f"the rule {name} answers {found.outcome!r}"
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in parameters.items()}
    return Verdict(name, title, found.outcome, found.sentence, found.mend, found.evidence, plain)
