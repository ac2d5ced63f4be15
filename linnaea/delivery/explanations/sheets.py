"""A folder of explanations: a picture for each image and method, the arrays, and one page with all of it."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from linnaea.arrays import Array, Images
from linnaea.delivery.explanations.pictures import enlarged
from linnaea.delivery.report import tables, words
from linnaea.delivery.report.found import MOST_THUMBNAILS, shown
from linnaea.delivery.report.pictures import SIDE, Picture
from linnaea.finding import Finding
from linnaea.runtime.files import write_atomically, write_text
from linnaea.runtime.neutral import neutral_lines

PAGE, ARRAYS = "index.html", "explanations.npz"
QUALITY = 82
MOST_LETTERS = 60


@dataclass(frozen=True)
class Panel:
    """A picture (H, W, 3): the method it is of, what stands below it, and the flaw that it has ("": none is known)."""

    method: str
    title: str
    picture: Images
    caption: str = ""
    flaw: str = ""


@dataclass(frozen=True)
class ExplainedImage:
    """An image (S, S, C) with its answer, its truth where that is known, the class explained, and its pictures."""

    name: str
    photo: Images
    answer: str
    confidence: float
    reason: str
    truth: str | None
    target: str
    panels: Sequence[Panel]

    @property
    def is_wrong(self) -> bool:
        """Whether the truth is known to be another."""
        return self.truth is not None and self.truth != self.answer


@dataclass(frozen=True)
class Sheet:
    """What is written: images that were explained, pictures of classes, methods in a few words, arrays, findings.

    `methods` are rows of title, meaning, what was said of it, and its flaw; `classes` are panels by the class.
    """

    title: str
    explained: Sequence[ExplainedImage]
    methods: Sequence[tuple[str, str, str, str]]
    arrays: Mapping[str, Array]
    notes: Sequence[str] = ()
    classes: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    def write(self, folder: Path) -> Path:
        """Write everything into a folder, and return the page."""
        for number, one in enumerate(self.explained, start=1):
            for panel in one.panels:
                name = f"{number:03}-{_file_name(one.name)}"
                self._write_panel(folder / panel.method, name, panel, one.panels)
        for name, panels in self.classes.items():
            for panel in panels:
                self._write_panel(folder / panel.method, _file_name(name), panel, panels)
        write_atomically(folder / ARRAYS, self._write_arrays)
        return write_text(folder / PAGE, self.page())

    def _write_panel(self, folder: Path, name: str, panel: Panel, beside: Sequence[Panel]) -> None:
        own = [each for each in beside if each.method == panel.method]
        many = "" if len(own) == 1 else f"-{next(place for place, each in enumerate(own, 1) if each is panel)}"
        picture = Image.fromarray(panel.picture)
        write_atomically(folder / f"{name}{many}.png", lambda partial: picture.save(partial, "PNG"))

    def _write_arrays(self, path: Path) -> None:
        with path.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **self.arrays)

    def page(self) -> str:
        """The page as HTML, which needs nothing beside it."""
        wrong = sum(one.is_wrong for one in self.explained)
        known = sum(one.truth is not None for one in self.explained)
        template = _environment().get_template("explanations.html")
        return template.render(
            sheet=self, wrong=wrong, known=known, findings=[self._found(one) for one in self.findings]
        )

    def _found(self, finding: Finding) -> dict[str, Any]:
        """A finding for the page, its images as the classifier saw them."""
        photos = {one.name: one.photo for one in self.explained}
        names = [name for name in finding.images if name in photos]
        seen = [Picture(name, inline(enlarged(photos[name])), SIDE, SIDE) for name in names[:MOST_THUMBNAILS]]
        return shown(None, finding) | {"pictures": seen}


def _file_name(name: str) -> str:
    """The last part of a path without its ending, of letters that every file system takes."""
    stem = PurePosixPath(name.replace("\\", "/")).stem[:MOST_LETTERS]
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in stem) or "image"


def inline(picture: Images) -> str:
    """A picture (H, W, 3) as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


@cache
def _environment() -> Environment:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "report"]),
        autoescape=True,
        finalize=lambda value: neutral_lines(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": words, "tables": tables, "inline": inline, "enlarged": enlarged}
    return environment
