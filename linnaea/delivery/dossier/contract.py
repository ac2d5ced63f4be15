"""The contract of a section of the dossier: what was measured, with its file; what people said is added by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.classifier.sign_off import SignOff
from linnaea.delivery.dossier.statements import Statements
from linnaea.delivery.report.pages import Material
from linnaea.registry import Registry

ANNEX: Mapping[str, str] = {
    "1(a)": "Intended purpose, provider, version",
    "1(b)": "Interaction with other hardware and software",
    "1(c)": "Versions of software, and updates",
    "1(d)": "Forms in which it is placed on the market",
    "1(e)": "Hardware it is meant to run on",
    "1(f)": "Pictures of the product it is part of",
    "1(g)": "User interface",
    "1(h)": "Instructions for use",
    "2(a)": "Methods and steps of development; pre-trained systems and tools",
    "2(b)": "Design: logic, choices, what is optimised, expected output",
    "2(c)": "Architecture, and the computing power used",
    "2(d)": "Data: provenance, scope, selection, labelling, cleaning",
    "2(e)": "Human oversight, and how output is interpreted",
    "2(f)": "Changes determined beforehand",
    "2(g)": "Validation and testing: data, metrics, robustness, signed reports",
    "2(h)": "Cybersecurity",
    "3": "Capabilities and limits, accuracy for groups, foreseeable risks, input",
    "4": "Whether the metrics are appropriate",
    "5": "Risk management",
    "6": "Changes through the lifecycle",
    "7": "Standards applied",
    "8": "EU declaration of conformity",
    "9": "Monitoring after it is placed on the market",
}
CARD = (
    "Model Details",
    "Intended Use",
    "Factors",
    "Metrics",
    "Evaluation Data",
    "Training Data",
    "Quantitative Analyses",
    "Ethical Considerations",
    "Caveats and Recommendations",
)
MEASURED, STATED, MISSING = "measured", "stated", "missing"


@dataclass(frozen=True)
class Block:
    """A part of a section: `kind` is measured, stated or missing, `source` the file or what would fill the gap.

    Its content are `sentences`, `pairs`, a table of `columns` and `rows`, and a `page` of the report by its name.
    `annex` and `card` are the points of Annex IV and the sections of a model card that it answers, or fails to.
    """

    kind: str
    title: str
    source: str
    annex: tuple[str, ...] = ()
    card: tuple[str, ...] = ()
    sentences: Sequence[str] = ()
    pairs: Sequence[tuple[str, str]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    page: str = ""


@dataclass(frozen=True, eq=False)
class Sources:
    """What a dossier is made of: the files of a run, what people said, and the record of the last check."""

    material: Material
    statements: Statements
    sign_off: SignOff | None

    @property
    def run(self) -> Mapping[str, Any]:
        """What `run.json` holds."""
        return self.material.folder.run

    @property
    def place(self) -> str:
        """The folder of the run."""
        return str(self.material.folder.path)

    def rules(self, *names: str) -> list[Mapping[str, Any]]:
        """What the last check says by some rules; none where there is no check that still holds."""
        if self.sign_off is None or self.sign_off.void:
            return []
        return [rule for rule in self.sign_off.content.get("rules", ()) if rule.get("rule") in names]


Section = Callable[[Sources], Iterator[Block]]
SECTIONS: Registry[Section] = Registry(
    "section of the dossier",
    "linnaea.delivery.dossier",
    title="Sections of the dossier",
    use="Shown in the document that `linnaea dossier` writes.",
)


def missing(title: str, mend: str, annex: tuple[str, ...] = (), card: tuple[str, ...] = ()) -> Block:
    """What is not known, and what would fill the gap."""
    return Block(MISSING, title, mend, annex, card)
