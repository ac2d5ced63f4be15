"""The datasheet: what only people know about a dataset (Gebru et al. 2021), beside what can be counted."""

import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError, suggest
from linnaea.runtime.boundary import parsing
from linnaea.runtime.files import write_text
from linnaea.runtime.text import read_text
from linnaea.runtime.toml import toml_table, toml_value

FILE = "datasheet.toml"
COUNTED = "counted"
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "Motivation": {
        "name": "What is the dataset called?",
        "version": "Which version is this, and what changed since the last?",
        "purpose": "What was it made for, by whom, and who paid for it?",
    },
    "Composition": {
        "content": "What does an image show? Is it a sample of a larger set, and is anything missing on purpose?",
        "people": "Does it show or name people, or reveal anything sensitive about them? Did they agree?",
    },
    "Collection": {
        "provenance": "Where do the images come from: which places, devices, archives or websites?",
        "collection": "How, when and by whom were they taken or chosen?",
    },
    "Labelling": {
        "preparation": "What was done to the images before they came here: cropped, cleaned, left out?",
        "labelling": "By what protocol was each label decided, and how were doubtful cases settled?",
        "annotators": "Who labelled the images, with what training, and how far did they agree?",
    },
    "Uses": {
        "intended_use": "What should a classifier trained on it be used for?",
        "unsuitable_use": "What should it not be used for?",
        "limits": "What limits, gaps and biases are known?",
    },
    "Distribution": {
        "licence": "Under what licence or terms may it be used and shared?",
        "contact": "Who answers questions, and how can they be reached?",
        "maintenance": "Who maintains it, and how are errors reported and corrected?",
    },
}
KEYS = tuple(key for questions in QUESTIONS.values() for key in questions)


@dataclass(frozen=True)
class Datasheet:
    """The answers by key, those that were given; and what was `counted` when the sheet was written, if it says so."""

    answers: Mapping[str, str]
    counted: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        """An answer, or an empty string where none was given."""
        return self.answers.get(key, "")

    @property
    def unanswered(self) -> list[str]:
        """The keys of the questions without an answer."""
        return [key for key in KEYS if not self[key]]

    def told(self, without: Collection[str] = ()) -> list[tuple[str, str]]:
        """The answers that were given, with their keys in the order of the questions."""
        return [(key, self[key]) for key in KEYS if self[key] and key not in without]


def read_datasheet(file: Path) -> Datasheet:
    """Read a datasheet; raises DataError when it is absent, no TOML, or has a key that is no question."""
    if not file.exists():
        raise DataError(f"{file} does not exist: expected a datasheet; `linnaea datasheet DATA` writes one.")
    text = read_text(file)
    with parsing(file, "TOML", "expected lines such as licence = 'CC BY 4.0'"):
        content = tomllib.loads(text)
    counted = content.pop(COUNTED, {})
    _require_no_answers(file, counted)
    return Datasheet({key: text for key, value in content.items() if (text := _answer(file, key, value))}, counted)


def place_for(dataset: Dataset) -> Path:
    """Where the datasheet of a dataset belongs: beside its images, or beside the file they are packed in."""
    return (dataset.root if dataset.root.is_dir() else dataset.root.parent) / FILE


def find_datasheet(dataset: Dataset) -> Path | None:
    """The datasheet beside the images, if there is one."""
    return place_for(dataset) if place_for(dataset).is_file() else None


def write_template(dataset: Dataset, file: Path) -> Path:
    """Write the questions, and what can be counted of a dataset; raises UsageError when the file is there."""
    if file.exists():
        raise UsageError(f"{file} already exists: edit it, remove it, or name another file with --out.")
    return write_text(file, as_toml(Datasheet({}, count(dataset))))


def copy_datasheet(sheet: Datasheet, dataset: Dataset, file: Path) -> Path:
    """Write the answers with what is counted of this dataset now, so that the sheet travels with its data."""
    return write_text(file, as_toml(Datasheet(sheet.answers, count(dataset))))


def count(dataset: Dataset) -> dict[str, Any]:
    """What can be counted: images, classes, splits, groups, formats (endings), times and the fingerprint."""
    counted: dict[str, Any] = {"images": len(dataset), "fingerprint": dataset.fingerprint, "task": dataset.task}
    if dataset.has("group"):
        counted["groups"] = len(set(dataset.column("group")) - {None})
    counted["formats"] = dict(Counter(Path(path).suffix.lower() or "none" for path in dataset.ids).most_common())
    labels = Counter(label for labels in dataset.label_lists for label in labels)
    counted["classes"] = {name: labels[name] for name in dataset.classes}
    if dataset.has("split"):
        counted["splits"] = dict(Counter(str(name) for name in dataset.column("split")))
    return counted


def stale(sheet: Datasheet, dataset: Dataset) -> str:
    """The sentence that says that a datasheet was written for other data, empty when nothing speaks for that."""
    images = sheet.counted.get("images")
    if images in (None, len(dataset)):
        return ""
    return f"The datasheet was written for {images} images, but the data has {len(dataset)}: check its answers."


def as_toml(sheet: Datasheet) -> str:
    """The datasheet as TOML, with the questions as comments."""
    lines = [
        "# A datasheet for this dataset (Gebru et al. 2021). Answer what you know, in words; leave the rest empty.",
        "# Linnaea copies it into every run on this data, and shows it in the model card and the report.",
    ]
    for section, questions in QUESTIONS.items():
        lines += ["", f"# {section}"]
        for key, question in questions.items():
            lines += [f"# {question}", f"{key} = {toml_value(sheet[key])}"]
    lines += ["", "# Counted by Linnaea when this was written. Answers belong above this line.", ""]
    return "\n".join([*lines, *toml_table(COUNTED, sheet.counted)]) + "\n"


def _answer(file: Path, key: str, value: Any) -> str:
    if key not in KEYS:
        raise DataError(f"{file} answers {key!r}, which is not a question in a datasheet.{suggest(key, KEYS)}")
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return "; ".join(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float | date):
        raise DataError(f"{file}: {key} is {value!r}; expected words in quotation marks.")
    return str(value).strip()


def _require_no_answers(file: Path, counted: Any) -> None:
    """Raise DataError for an answer that was written below the table of counts, where it would belong to that."""
    if not isinstance(counted, Mapping):
        raise DataError(f"{file}: {COUNTED} is {counted!r}; expected a table [{COUNTED}], or none.")
    for key, value in counted.items():
        if isinstance(value, Mapping):
            _require_no_answers(file, value)
        elif key in KEYS and isinstance(value, str):
            raise DataError(f"{file} answers {key!r} below [{COUNTED}], where TOML reads it as a count: move it above.")
