"""The page: the sections of a report put into the template."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from linnaea.dataset import Dataset
from linnaea.delivery.report import origins, sections, tables, words
from linnaea.delivery.report.decision import decision_sections
from linnaea.delivery.report.folder import Folder, Part, mapping
from linnaea.delivery.report.labels import label_sections
from linnaea.delivery.report.strangers import stranger_sections
from linnaea.delivery.report.tree import tree_sections
from linnaea.delivery.report.verdict import verdict_of
from linnaea.finding import SEVERITIES, Finding
from linnaea.runtime.neutral import neutral_lines

MOST_CLASSES = 12
SECTIONS = {
    "ladder": "The ladder",
    "metrics": "The figures",
    "decision": "Yes or no",
    "tree": "The tree",
    "classes": "Class by class",
    "confusion": "What it confuses",
    "labels": "Label by label",
    "together": "What comes together",
    "reliability": "Confidence",
    "curves": "How it learned",
    "mistakes": "Worst mistakes",
    "answers": "How it answers",
    "strangers": "What it does not know",
    "splits": "The data",
    "audit": "Data audit",
    "left_out": "Left out",
    "export": "Export",
    "made": "How it was made",
    "card": "Model card",
}


def render(run: Path) -> str:
    """The report of a run folder as HTML; raises RunError when there is no run.json in it."""
    folder = Folder(run)
    evaluation = tables.evaluation_of(folder)
    ladder = folder.csv("ladder.csv")
    manifest = folder.read("manifest.csv", partial(origins.read_manifest, several=folder.several))
    audit = folder.findings("audit")
    export = folder.findings("export", "The classifier was not exported, or not from this run folder.")
    classifier = folder.json("model/classifier.json")
    verdict = verdict_of(folder, evaluation, ladder, audit, export)
    parts = {
        "ladder": sections.ladder_section(ladder),
        "metrics": sections.metrics_section(folder, evaluation),
        **decision_sections(folder, evaluation, classifier),
        **tree_sections(folder, evaluation),
        **_evaluated(folder, evaluation, classifier),
        "curves": sections.curves_section(folder),
        "answers": sections.answers_section(evaluation, classifier, several=folder.several),
        **stranger_sections(folder, classifier),
        "splits": sections.splits_section(folder, manifest),
        "audit": sections.findings_section(folder, audit),
        "left_out": manifest if manifest.missing else Part(manifest.content.left_out),
        "export": sections.findings_section(folder, export),
        "made": Part(sections.made_section(folder)),
        "card": Part(sections.card_section(folder, evaluation, mapping(classifier.content), verdict.summary)),
    }
    further = sections.further_findings(folder, evaluation)
    titles = {name: title for name, title in SECTIONS.items() if name in parts}
    gaps = [name for name in titles if parts[name].missing and not parts[name].expected]
    holes = {"answers": [classifier, evaluation.finding("answers")], "splits": [manifest], "card": [classifier]}
    partly = [name for name, pieces in holes.items() if name not in gaps and any(piece.missing for piece in pieces)]
    context = {"folder": folder, "evaluation": evaluation, "verdict": verdict, "parts": parts, "further": further}
    return (
        _environment()
        .get_template("template.html")
        .render(
            **context,
            titles=titles,
            gaps=gaps,
            partly=partly,
            made=parts["made"].content,
            card=parts["card"].content,
            classifier=classifier,
        )
    )


def _evaluated(folder: Folder, evaluation: tables.Evaluation, classifier: Part) -> dict[str, Part]:
    if folder.several:
        return label_sections(folder, evaluation)
    return sections.evaluated_sections(folder, evaluation, classifier)


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
        _environment()
        .get_template("audit.html")
        .render(
            name=dataset.root.resolve().name,
            worst=ordered[0].severity if ordered else "info",
            headline=f"{words.counted(grave, 'thing')} to look at before training." if grave else "Nothing stands out.",
            facts=facts,
            shown=[sections.shown(dataset.root, finding) for finding in ordered],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=lambda value: neutral_lines(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": words, "tables": tables}
    return environment
