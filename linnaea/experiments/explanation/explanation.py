"""What explainers made of images: as JSON, as arrays, and as pictures on a page."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Array, Images, Integers
from linnaea.delivery.explanations import Drawing, ExplainedImage, Panel, Sheet, overlay
from linnaea.delivery.explanations.pictures import enlarged
from linnaea.evidence.explanation import EXPLAINERS, Examples, Subject
from linnaea.evidence.explanation.running import is_flat, is_signed, kind_of
from linnaea.finding import Finding
from linnaea.predictions import Predictions, label_text
from linnaea.runtime.files import write_json

FLAT = "flat: no place speaks more for the class than another"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What explainers made of N images, and where it was written.

    `pixels` (N, S, S, C) are the images as the classifier sees them, `answers` a row for each, `targets` (N,) the
    classes that are explained. `maps` (N, S, S) and `examples` are by method; `said` is what should be known of each
    method, `flaws` what is wrong with it. `findings` are what methods and checks of the explanations found, `measured`
    the figures of checks per image (N,) by name. `asked` are the classes to picture where no images are explained.
    """

    subject: Subject
    pixels: Images
    answers: Predictions
    targets: Integers
    maps: dict[str, Array] = field(default_factory=dict)
    examples: dict[str, Examples] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    flaws: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    measured: dict[str, Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    page: Path | None = None
    asked: Integers | None = None

    @property
    def pictured(self) -> Integers:
        """The classes of which there are pictures: those that were asked for, else those of the images."""
        return np.unique(self.targets) if self.asked is None else self.asked

    @property
    def methods(self) -> list[str]:
        """The names of the methods, in the order in which they were asked for."""
        return list(self.said)

    @property
    def _rows(self) -> list[dict[str, Any]]:
        """The answers, each with its truth."""
        truth = self.answers.column("truth")
        return [row | {"truth": known} for row, known in zip(self.answers, truth, strict=True)]

    def __str__(self) -> str:
        return "\n".join(self.notes)

    def to_json(self) -> dict[str, Any]:
        """Where everything is, and each image with its answer and the class that is explained."""
        rows = [
            {key: row[key] for key in ("id", "label", "confidence", "truth")} | {"target": name}
            for row, name in zip(self._rows, self._names(self.targets), strict=True)
        ]
        findings = [finding.to_json() for finding in self.findings]
        told = {"methods": self.said, "flaws": self.flaws, "notes": list(self.notes), "findings": findings}
        examples = {
            name: [[{"caption": each.caption, "path": each.path} for each in row] for row in made.rows]
            for name, made in self.examples.items()
        }
        page = None if self.page is None else str(self.page)
        return {"page": page, **told, "images": rows, "pictured": self._names(self.pictured), "examples": examples}

    def _names(self, targets: Integers) -> list[str]:
        return [self.subject.classes[target] for target in targets]

    def arrays(self) -> dict[str, Array]:
        """All as arrays by name: `pixels`, `probabilities`, `targets`, `classes`, `ids`, methods, `checks/...`."""
        own: dict[str, Array] = {
            "pixels": self.pixels,
            "probabilities": self.answers.scores(),
            "targets": self.targets,
            "classes": np.array(self.subject.classes),
            "ids": np.array(self.answers.column("id")),
        }
        further = {
            f"{method}_{name}": values for method, made in self.examples.items() for name, values in made.arrays.items()
        }
        return own | self.maps | further | {f"checks/{name}": values for name, values in self.measured.items()}

    def write(self, folder: str | Path, title: str = "") -> Path:
        """Write pictures, arrays and the page into a folder; returns the page."""
        page = self.sheet(title or Path(folder).resolve().name).write(Path(folder))
        write_json(Path(folder) / "explanations.json", replace(self, page=Path(page.name)).to_json())
        return page

    def at(self, page: Path) -> "Explanation":
        """The same that says where its page is."""
        return replace(self, page=page)

    def sheet(self, title: str) -> Sheet:
        """What is written of it."""
        methods = [
            (EXPLAINERS.about(name).title, EXPLAINERS.about(name).meaning, said, self.flaws.get(name, ""))
            for name, said in self.said.items()
        ]
        explained = [self._explained(number, row) for number, row in enumerate(self._rows)]
        return Sheet(title, explained, methods, self.arrays(), self.notes, self._of_classes(), self.findings)

    def _explained(self, number: int, row: dict[str, Any]) -> ExplainedImage:
        truth = None if row["truth"] is None else label_text(row["truth"])
        return ExplainedImage(
            name=str(row["id"]),
            photo=self.pixels[number],
            answer=label_text(row["label"]),
            confidence=float(row["confidence"]),
            reason=str(row["reason"]),
            truth=truth,
            target=self.subject.classes[self.targets[number]],
            panels=[panel for name in self.said for panel in self._panels(name, number)],
        )

    def _panels(self, name: str, number: int) -> list[Panel]:
        about, flaw = EXPLAINERS.about(name), self.flaws.get(name, "")
        if name in self.maps:
            values = self.maps[name][number]
            flat = FLAT if is_flat(values[None])[0] else ""
            picture = overlay(self.pixels[number], values, Drawing(is_signed(about), flaw))
            return [Panel(name, about.title, picture, flat, flaw)]
        if kind_of(about) != "examples":
            return []
        row = self.examples[name].rows[number]
        return [Panel(name, about.title, enlarged(each.picture), each.caption, flaw) for each in row]

    def _of_classes(self) -> dict[str, list[Panel]]:
        made: dict[str, list[Panel]] = {}
        for name in self.said:
            about = EXPLAINERS.about(name)
            if kind_of(about) != "picture":
                continue
            flaw = self.flaws.get(name, "")
            found = self.examples[name]
            titles = found.titles or [self.subject.classes[target] for target in self.pictured]
            for title, row in zip(titles, found.rows, strict=True):
                panels = [Panel(name, about.title, enlarged(each.picture), each.caption, flaw) for each in row]
                made.setdefault(title, []).extend(panels)
        return made
