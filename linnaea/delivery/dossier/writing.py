"""The document: its sections, what is missing first, and which points of a regulation or a model card each answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier.sign_off import read_sign_off
from linnaea.data.datasheet import FILE as DATASHEET
from linnaea.data.datasheet import read_datasheet
from linnaea.delivery.dossier.contract import ANNEX, CARD, MISSING, SECTIONS, STATED, Block, Sources, missing
from linnaea.delivery.dossier.statements import QUESTIONS, Statements
from linnaea.runtime.files import write_text

FILE = "dossier.html"
STATEMENTS = "dossier.toml"


@dataclass(frozen=True)
class Chapter:
    """A section by its name, with its title and its blocks, first those that are not missing."""

    id: str
    title: str
    blocks: Sequence[Block]

    @property
    def annex(self) -> list[str]:
        """The points of Annex IV that it answers, at least in part."""
        told = {point for block in self.blocks if block.kind != MISSING for point in block.annex}
        return [point for point in ANNEX if point in told]

    @property
    def card(self) -> list[str]:
        """The sections of a model card that it answers, at least in part."""
        told = {name for block in self.blocks if block.kind != MISSING for name in block.card}
        return [name for name in CARD if name in told]

    @property
    def gaps(self) -> list[Block]:
        """What is missing in it."""
        return [block for block in self.blocks if block.kind == MISSING]


def write_dossier(run: Path, statements: Path | None = None, out: Path | None = None) -> Path:
    """Write the document of a run, one self-contained HTML file, and return its path.

    `statements` are answers of people, see `statements.read_statements`; None: `dossier.toml` in the run, where it is.
    Nothing that is missing is filled in. Raises DataError for statements that cannot be read.
    """
    return write_text(run / FILE if out is None else out, render(run, statements))


def render(run: Path, statements: Path | None = None) -> str:
    """The document as HTML."""
    from linnaea.delivery.report.folder import Folder
    from linnaea.delivery.report.page import drawn_page, environment
    from linnaea.delivery.report.pages import Material

    own = run / STATEMENTS
    given = own if statements is None and own.is_file() else statements
    sheet = read_datasheet(run / DATASHEET) if (run / DATASHEET).is_file() else None
    material = Material.of(Folder(run))
    sources = Sources(material, Statements.of(given, sheet), read_sign_off(run / "model", run=run))
    chapters = [_chapter(name, sources) for name in SECTIONS]
    pages = {block.page: drawn_page(material, block.page) for one in chapters for block in one.blocks if block.page}
    template = environment().from_string(Path(__file__).with_name("dossier.html").read_text(encoding="utf-8"))
    return template.render(
        folder=material.folder,
        evaluation=material.evaluation,
        classifier=material.classifier,
        verdict=material.verdict,
        chapters=chapters,
        pages=pages,
        annex=_coverage(chapters, "annex", ANNEX),
        card=_coverage(chapters, "card", dict.fromkeys(CARD, "")),
        gaps=sum(len(chapter.gaps) for chapter in chapters),
        sign_off=sources.sign_off,
        style=Path(__file__).with_name("dossier.css").read_text(encoding="utf-8"),
    )


def _chapter(name: str, sources: Sources) -> Chapter:
    """What a section measured, and then what people said of its questions, or that nobody did."""
    blocks = list(SECTIONS[name](sources))
    for key, question in QUESTIONS.items():
        if question.section != name:
            continue
        title, said = question.text, sources.statements.answers.get(key)
        if said:
            source = sources.statements.sources[key]
            blocks.append(Block(STATED, title, source, question.annex, question.card, said.split("\n\n")))
        else:
            blocks.append(missing(title, f"{key} in {STATEMENTS}", question.annex, question.card))
    return Chapter(name, SECTIONS.about(name).title, blocks)


def _coverage(chapters: Sequence[Chapter], which: str, points: dict[str, str] | Any) -> list[dict[str, Any]]:
    """For each point, the sections that answer it, and whether all of what it asks for is there."""
    rows = []
    for point, title in points.items():
        found = [(chapter, block) for chapter in chapters for block in chapter.blocks if point in getattr(block, which)]
        kinds = {block.kind for _, block in found}
        lacking = sum(block.kind == MISSING for _, block in found)
        state = "not answered" if kinds <= {MISSING} else f"in part, {lacking} missing" if lacking else "answered"
        kinds_told = [kind for kind in ("measured", "stated") if kind in kinds]
        homes = list(dict.fromkeys((chapter.id, chapter.title) for chapter, _ in found))
        rows.append({"point": point, "title": title, "state": state, "by": ", ".join(kinds_told), "homes": homes})
    return rows
