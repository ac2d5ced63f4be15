"""The report: its pages one after the other in one file."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from linnaea.dataset import Dataset
from linnaea.delivery.report import tables, words
from linnaea.delivery.report.folder import Folder, Part
from linnaea.delivery.report.found import shown
from linnaea.delivery.report.pages import PAGES, Material
from linnaea.finding import SEVERITIES, Finding
from linnaea.registry import About
from linnaea.runtime.neutral import neutral_lines
from linnaea.task import TASKS

MOST_CLASSES = 12


@dataclass(frozen=True)
class Drawn:
    """A page as the template takes it: its name, its heading, its content and what draws it."""

    id: str
    title: str
    part: Part
    template: Template


def render(run: Path) -> str:
    """The report of a run folder as HTML; raises RunError when there is no run.json in it."""
    material = Material.of(Folder(run))
    drawn = list(_drawn(material))
    gaps = [page for page in drawn if page.part.missing and not page.part.expected]
    partly = [page for page in drawn if page.part.partly and page not in gaps]
    return (
        environment()
        .get_template("template.html")
        .render(
            folder=material.folder,
            evaluation=material.evaluation,
            verdict=material.verdict,
            classifier=material.classifier,
            seal=material.seal,
            pages=drawn,
            gaps=gaps,
            partly=partly,
        )
    )


def drawn_page(material: Material, name: str) -> Drawn | None:
    """One page of the report by its name; None where the run has none, or where it is not for its task."""
    return next((page for page in _drawn(material, [name])), None)


def _drawn(material: Material, names: Sequence[str] | None = None) -> Iterator[Drawn]:
    """The pages of a run; only some of them, by their `names`."""
    known = material.folder.dataset.get("task")
    task = known if known in TASKS else "multiclass"  # where run.json was cut off
    for name, page in PAGES.items() if names is None else [(name, PAGES[name]) for name in names]:
        about = PAGES.about(name)
        tasks = about.capabilities.get("tasks")
        if isinstance(tasks, tuple) and task not in tasks:
            continue
        part = page(material)
        if part is not None:
            yield Drawn(name, about.title, part, _template(about))


def _template(about: About) -> Template:
    """The template beside the module of a page, else the one that lists findings."""
    file = getattr(sys.modules.get(about.module), "__file__", None)  # a notebook has none
    own = Path(file or __file__).with_name(f"{about.name}.html")
    return _read(own if own.is_file() else Path(__file__).parent / "pages" / "findings.html")


@cache
def _read(path: Path) -> Template:
    return environment().from_string(path.read_text(encoding="utf-8") + "\n")


def render_audit(findings: Sequence[Finding], dataset: Dataset) -> str:
    """The findings of an audit as HTML, the most serious first, with images."""
    ordered = sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))
    grave = sum(finding.severity != "info" for finding in ordered)
    facts = [
        ("Images", f"{len(dataset):,}, {len(dataset.excluded):,} files left out"),
        ("Classes", f"{len(dataset.classes):,}: {', '.join(dataset.classes[:MOST_CLASSES])}"),
        ("Task", dataset.task),
        ("Fingerprint", dataset.fingerprint),
    ]
    return (
        environment()
        .get_template("audit.html")
        .render(
            name=dataset.root.resolve().name,
            worst=ordered[0].severity if ordered else "info",
            headline=f"{words.counted(grave, 'thing')} to look at before training." if grave else "Nothing stands out.",
            facts=facts,
            shown=[shown(dataset.root, finding) for finding in ordered],
        )
    )


@cache
def environment() -> Environment:
    """What templates are read by: text is escaped and made harmless, and what is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=lambda value: neutral_lines(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"words": words, "tables": tables}
    return made
