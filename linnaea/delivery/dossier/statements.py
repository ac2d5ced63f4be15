"""What only people can say of a classifier: the questions of a dossier, a file of answers, and a template for it."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.datasheet import Datasheet
from linnaea.errors import DataError, UsageError, suggest
from linnaea.runtime.boundary import parsing
from linnaea.runtime.files import write_text
from linnaea.runtime.text import read_text

HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
SIGNED = {"stated_by": "Who answers here: name and role?", "stated_on": "When, such as 2026-01-31?"}


@dataclass(frozen=True)
class Question:
    """A question of a section, the points of Annex IV and the sections of a model card that its answer answers.

    `also` is the question of the datasheet whose answer stands for it where there is no other.
    """

    section: str
    text: str
    annex: tuple[str, ...] = ()
    card: tuple[str, ...] = ()
    also: str = ""


def _of_sheet(section: str, text: str, key: str, card: tuple[str, ...] = ("Training Data",)) -> Question:
    return Question(section, text, ("2(d)",), card, key)


QUESTIONS: Mapping[str, Question] = {
    "provider": Question("purpose", "Who provides it: name and address?", ("1(a)",), ("Model Details",)),
    "version": Question(
        "purpose", "Which version is it, and how does it differ from earlier ones?", ("1(a)",), ("Model Details",)
    ),
    "intended_use": Question("purpose", "What is it for?", ("1(a)",), ("Intended Use",), "intended_use"),
    "users": Question("purpose", "Who uses it, and whom do its answers affect?", ("1(a)", "3"), ("Intended Use",)),
    "unsuitable_use": Question("purpose", "What is it not for?", ("3",), ("Intended Use",), "unsuitable_use"),
    "contact": Question("purpose", "Who answers questions, and how?", ("1(a)",), ("Model Details",), "contact"),
    "interaction": Question(
        "system", "Which hardware and software does it work with that is no part of it?", ("1(b)",)
    ),
    "form": Question("system", "In which forms is it delivered: package, download, service?", ("1(d)",)),
    "hardware": Question("system", "On which hardware is it meant to run?", ("1(e)",)),
    "product": Question("system", "Is it part of a product? Where are its pictures and markings?", ("1(f)",)),
    "user_interface": Question("system", "What does its user see and operate?", ("1(g)",)),
    "instructions": Question("system", "Where are the instructions for use?", ("1(h)",)),
    "provenance": _of_sheet("data", "Where do the images come from?", "provenance"),
    "collection": _of_sheet("data", "How, when and by whom were they taken or chosen?", "collection"),
    "licence": _of_sheet("data", "By which right may they be used?", "licence"),
    "people": _of_sheet(
        "data", "Do they show people, or anything sensitive? Did these agree?", "people", ("Ethical Considerations",)
    ),
    "preparation": _of_sheet("data", "How were they cleaned, cropped or left out before?", "preparation"),
    "labelling": _of_sheet("data", "By what protocol was each label decided?", "labelling"),
    "annotators": _of_sheet("data", "Who labelled them, and how far did they agree?", "annotators"),
    "design_rationale": Question(
        "design", "Why is it built so: which assumptions and trade-offs, decided by whom?", ("2(b)",)
    ),
    "metrics_rationale": Question(
        "validation", "Why are these the figures that matter for its use?", ("4",), ("Metrics",)
    ),
    "groups": Question(
        "subgroups", "For which people, places or devices may it be worse, and why?", ("2(g)", "3"), ("Factors",)
    ),
    "cybersecurity": Question("robustness", "How are it, its weights and its input protected?", ("2(h)",)),
    "oversight": Question(
        "oversight", "Who oversees it, what may they overrule, and how do they notice mistakes?", ("2(e)", "3")
    ),
    "limits": Question(
        "limits", "Which limits, gaps and biases are known?", ("3",), ("Caveats and Recommendations",), "limits"
    ),
    "risks": Question(
        "limits", "Which harm could foreseeably come of it, and to whom?", ("3",), ("Ethical Considerations",)
    ),
    "risk_management": Question("lifecycle", "How are its risks found, judged and treated (Article 9)?", ("5",)),
    "planned_changes": Question("lifecycle", "Which changes are planned, and how will it still comply?", ("2(f)",)),
    "changes": Question("lifecycle", "What was changed since it was first used?", ("6",)),
    "standards": Question("lifecycle", "Which harmonised standards were applied, or what instead?", ("7",)),
    "declaration": Question("lifecycle", "Where is the EU declaration of conformity?", ("8",)),
    "monitoring": Question("lifecycle", "How is it watched in use (Article 72)?", ("9",)),
}


@dataclass(frozen=True)
class Statements:
    """The answers by key, each with where it was said."""

    answers: Mapping[str, str]
    sources: Mapping[str, str]

    @classmethod
    def of(cls, file: Path | None, sheet: Datasheet | None) -> "Statements":
        """The answers in a file of statements, and for questions that it leaves open those of a datasheet."""
        given = read_statements(file) if file is not None else {}
        name = file.name if file is not None else ""
        by = ", ".join(filter(None, [given.get("stated_by", ""), given.get("stated_on", "")]))
        answers, sources = {}, {}
        for key, question in QUESTIONS.items():
            if given.get(key):
                answers[key], sources[key] = given[key], f"{name}{f', {by}' if by else ''}"
            elif sheet is not None and question.also and sheet[question.also]:
                answers[key], sources[key] = sheet[question.also], "datasheet.toml"
        return cls(answers, sources)


def read_statements(file: Path) -> dict[str, str]:
    """The answers in a TOML file, or in Markdown below headings; raises DataError for what is no question."""
    if not file.is_file():
        raise DataError(f"{file} does not exist: `linnaea dossier --write-statements {file}` writes one to fill in.")
    text = read_text(file)
    if file.suffix.lower() in (".md", ".markdown"):
        parts = HEADING.split(COMMENT.sub("", text))
        content: dict[str, Any] = dict(zip(map(_key, parts[1::2]), parts[2::2], strict=True))
    else:
        with parsing(file, "TOML", "expected lines such as oversight = 'A technician confirms each answer.'"):
            content = tomllib.loads(text)
    return {key: _answer(file, key, value) for key, value in content.items()}


def _key(heading: str) -> str:
    return heading.lower().replace(" ", "_").replace("-", "_")


def _answer(file: Path, key: str, value: Any) -> str:
    known = [*QUESTIONS, *SIGNED]
    if key not in known:
        raise DataError(f"{file} answers {key!r}, which is no question of a dossier.{suggest(key, known)}")
    if isinstance(value, bool | dict | list):
        raise DataError(f"{file}: {key} is {value!r}; expected words in quotation marks.")
    return str(value).strip()


def write_statements(file: Path) -> Path:
    """Write the questions to fill in, as TOML or as Markdown by the ending; UsageError where the file is there."""
    if file.exists():
        raise UsageError(f"{file} already exists: edit it, or name another file.")
    asked = {**SIGNED, **{key: f"{question.text}{_points(question)}" for key, question in QUESTIONS.items()}}
    if file.suffix.lower() in (".md", ".markdown"):
        return write_text(file, "\n\n".join(f"# {key}\n\n<!-- {text} -->" for key, text in asked.items()) + "\n")
    head = (
        f"# What only people can say of the classifier: linnaea dossier RUN --statements {file.name}\n"
        "# Leave empty what is not known: it is then listed as missing. Answers of the datasheet stand for empty ones."
    )
    lines = [f'# {text}\n{key} = ""' for key, text in asked.items()]
    return write_text(file, "\n\n".join([head, *lines]) + "\n")


def _points(question: Question) -> str:
    told = [f"Annex IV {point}" for point in question.annex] + list(question.card)
    return f" ({', '.join(told)})"
