"""The content of each section of the page, or why it is missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.datasheet import FILE, read_datasheet
from linnaea.delivery.card import ELSEWHERE, NO_DATASHEET
from linnaea.delivery.report import origins, tables, tree
from linnaea.delivery.report.charts import Bin, Curve, Rung, curves_chart, ladder_chart, reliability_chart
from linnaea.delivery.report.decision import DRAWN
from linnaea.delivery.report.folder import Folder, Part, listing, mapping
from linnaea.delivery.report.pictures import pictures
from linnaea.delivery.report.words import SPACE, counted, metric_named, number
from linnaea.finding import Finding

MOST_MISTAKES = 24
MOST_THUMBNAILS = 8
MOST_ROWS = 10
MOST_NAMES = 8
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stated:
    """How a section on confidence speaks: titles of the chart, its caption, and three headings of its table."""

    right: str
    counted: str
    stated: str
    caption: str
    headings: tuple[str, str, str]


OF_ANSWERS = Stated(
    "share that was right",
    "images",
    "stated confidence",
    f"If confidence means what it says, the points lie on the dashed line: of all answers given with 80{SPACE}% "
    f"confidence, 80{SPACE}% are right. The bars count the images behind each point.",
    ("Confidence", "Right", "Images"),
)


def _root(folder: Folder) -> Path | None:
    root = folder.dataset.get("root")
    return Path(str(root)) if root else None


def ladder_section(ladder: Part) -> Part:
    """The rows of the ladder and its chart; the chart is empty when it has nothing to show."""
    if ladder.missing:
        return ladder
    names = {str(row.get("metric")) for row in ladder.content if row.get("metric")}
    rungs = [rung for row in ladder.content if (rung := _rung(row)) is not None]
    metric = metric_named(sorted(names)[0]) if len(names) == 1 else None
    chart = ladder_chart(rungs, metric.title.lower(), metric.share) if metric and rungs else ""
    return Part({"rows": ladder.content, "chart": chart})


def _rung(row: Row) -> Rung | None:
    value, seconds = number(row.get("value")), number(row.get("seconds"))
    if value is None or seconds is None:
        return None
    interval = _interval(row, "lo", "hi")
    return Rung(str(row.get("rung")), value, interval, seconds, row.get("chosen") == "yes")


def _interval(row: Row, low: str, high: str) -> tuple[float, float] | None:
    lo, hi = number(row.get(low)), number(row.get(high))
    return None if lo is None or hi is None else (lo, hi)


def metrics_section(folder: Folder, evaluation: tables.Evaluation) -> Part:
    """The figures of the headline split and how each interval was made."""
    if evaluation.metrics.missing:
        return evaluation.metrics
    rows = tables.metric_rows(evaluation, in_tree=folder.in_tree)
    return Part({"rows": rows, "methods": [(row["metric"].title, row["method"] or "not stated") for row in rows]})


def evaluated_sections(folder: Folder, evaluation: tables.Evaluation, classifier: Part) -> dict[str, Part]:
    """The sections made from the findings of the headline split."""
    classes = origins.classes_of(folder, mapping(classifier.content))
    sections: dict[str, tuple[str, Callable[[Finding], Any]]] = {
        "classes": ("per_class", tables.class_rows),
        "confusion": ("confusion", lambda finding: tables.confusion_of(finding, classes)),
        "mistakes": ("mistakes", lambda finding: illustrated(folder, finding)),
    }
    parts = {section: drawn(evaluation.finding(name), draw) for section, (name, draw) in sections.items()}
    found = evaluation.finding("reliability")
    return {**parts, "reliability": found if found.missing else Part(reliability_of(found.content, OF_ANSWERS))}


def drawn(found: Part, draw: Callable[[Finding], Any]) -> Part:
    """A finding, and what a section makes of it."""
    return found if found.missing else Part({"finding": found.content, "made": draw(found.content)})


def reliability_of(finding: Finding, stated: Stated) -> dict[str, Any]:
    """The finding, its chart, which is empty where no bin holds anything, and how to speak of it."""
    bins = [
        Bin(confidence, accuracy, _interval(row, "accuracy_lo", "accuracy_hi"), number(row.get("n")) or 0)
        for row in finding.rows
        if (confidence := number(row.get("confidence"))) is not None
        and (accuracy := number(row.get("accuracy"))) is not None
    ]
    chart = reliability_chart(bins, (stated.right, stated.counted, stated.stated)) if bins else ""
    return {"finding": finding, "made": chart, "stated": stated}


def illustrated(folder: Folder, finding: Finding) -> list[dict[str, Any]]:
    """The first rows of a finding, each with the image that its `id` names."""
    rows = list(finding.rows)[:MOST_MISTAKES]
    shown = pictures(_root(folder), [str(row.get("id")) for row in rows], MOST_MISTAKES)
    return [{"row": row, "picture": picture} for row, picture in zip(rows, shown, strict=True)]


def curves_section(folder: Folder) -> Part:
    """The learning curves of each rung that was trained by epochs."""
    history = folder.csv("history.csv", "Either no rung was trained by epochs, or the file was removed.")
    if history.missing:
        return history
    rungs = list(dict.fromkeys(row.get("rung", "") for row in history.content))
    charts = []
    for place, rung in enumerate(rungs):
        rows = [row for row in history.content if row.get("rung", "") == rung]
        charts.append({"rung": rung, "epochs": len(rows), "charts": _rung_curves(f"curve{place}", rows)})
    return Part(charts)


def _rung_curves(name: str, rows: Sequence[Row]) -> list[str]:
    epochs = [float(place) if (epoch := number(row.get("epoch"))) is None else epoch for place, row in enumerate(rows)]
    panels = {"Loss": [("train", "train_loss", False), ("val", "val_loss", True)]}
    for column in (name for name in rows[0] if name.startswith("val_") and "loss" not in name):
        panels[f"Validation {column.removeprefix('val_')}"] = [("val", column, True)]
    charts = []
    for title, lines in panels.items():
        curves = [Curve(label, [number(row.get(column)) for row in rows], accent) for label, column, accent in lines]
        drawn = [curve for curve in curves if any(value is not None for value in curve.values)]
        if drawn:
            charts.append(curves_chart(f"{name}-{title[0]}", title, epochs, drawn, as_percent=title != "Loss"))
    return charts


def answers_section(evaluation: tables.Evaluation, classifier: Part, *, several: bool = False) -> Part:
    """Missing only when both the policy and the table of answers are; each says for itself if it is alone."""
    policy = classifier if classifier.missing else Part(list(origins.policy_sentences(classifier.content)))
    answers = evaluation.finding("answers")
    rows = answers if answers.missing else Part(tables.answer_rows(answers.content, several=several))
    unreadable = evaluation.finding("unreadable")
    files = Part([] if unreadable.missing else unreadable.content.rows)
    missing = f"{policy.missing} {rows.missing}" if policy.missing and rows.missing else ""
    return Part({"policy": policy, "rows": rows, "unreadable": files}, missing)


def splits_section(folder: Folder, manifest: Part) -> Part:
    """Images per split, and per class where the manifest is there."""
    if manifest.missing and not mapping(folder.dataset.get("splits")):
        return manifest
    return Part({**origins.split_table(folder, manifest, tables.MOST_CLASSES), "manifest": manifest})


def findings_section(folder: Folder, findings: Part) -> Part:
    """Findings of any kind, each with its first rows and images."""
    return findings if findings.missing else Part([shown(_root(folder), finding) for finding in findings.content])


def shown(root: Path | None, finding: Finding) -> dict[str, Any]:
    """A finding with its columns, its first rows, and its images from the folder `root`."""
    columns = list(dict.fromkeys(str(key) for row in finding.rows for key in row))
    thumbnails = pictures(root, finding.images, MOST_THUMBNAILS)
    return {"finding": finding, "columns": columns, "rows": list(finding.rows)[:MOST_ROWS], "pictures": thumbnails}


def further_findings(folder: Folder, evaluation: tables.Evaluation) -> list[dict[str, Any]]:
    """Findings that no section above draws: other names on the headline split, and other files."""
    shown_above = {*tables.DRAWN, *DRAWN, *tree.DRAWN}
    found = [finding for finding in evaluation.findings.content or [] if not finding.is_promise]
    rest = [finding for finding in found if finding.name not in shown_above]
    groups = [{"title": evaluation.where, "part": findings_section(folder, Part(rest))}] if rest else []
    for name in folder.other_findings():
        groups.append({"title": f"findings/{name}.json", "part": findings_section(folder, folder.findings(name))})
    return groups


def made_section(folder: Folder) -> dict[str, Any]:
    """What run.json says about how the run was made, and the files of the folder."""
    run = folder.run
    groups = {
        "Arguments": mapping(run.get("arguments")),
        "Execution plan": mapping(run.get("plan")),
        "Machine": mapping(run.get("machine")),
        "Versions": mapping(run.get("versions")),
    }
    timings = [(str(stage), number(value)) for stage, value in mapping(run.get("timings")).items()]
    longest = max((seconds for _, seconds in timings if seconds is not None), default=0)
    return {
        "groups": {title: origins.facts(content) for title, content in groups.items()},
        "timings": [(stage, seconds, 100 * (seconds or 0) / longest if longest else 0) for stage, seconds in timings],
        "seal": origins.seal_sentence(folder),
        "opened": [entry for entry in listing(run.get("test_opened")) if isinstance(entry, dict)],
        "notes": [str(note) for note in listing(run.get("notes"))],
        "contents": folder.contents(),
    }


def card_section(folder: Folder, evaluation: tables.Evaluation, classifier: Row, headline: str) -> dict[str, Any]:
    """What a model card can say from the facts of the run alone."""
    rare = [name for name, images in tables.images_of_each(evaluation) if images < 10]
    small = [f"Little is known about classes with few images: {', '.join(rare[:6])}."] if rare else []
    classes = origins.classes_of(folder, classifier)
    named = ", ".join(classes[:MOST_NAMES]) + (", …" if len(classes) > MOST_NAMES else "")
    all_classes = f"{counted(len(classes), 'class', 'classes')} ({named})"
    sheet = folder.read(FILE, read_datasheet, NO_DATASHEET)
    answers = {} if sheet.missing else dict(sheet.content.told())
    return {
        "sheet": sheet,
        "answers": answers,
        "told": [(key.replace("_", " "), text) for key, text in answers.items() if key not in ELSEWHERE],
        "classes": all_classes if classes else "the classes it was trained on",
        "model": origins.facts(mapping(classifier.get("model"))),
        "provenance": origins.provenance(folder),
        "origin": origins.facts(mapping(classifier.get("provenance"))),
        "evaluation": headline,
        "limits": [*origins.limits(folder, classifier, small), *filter(None, [answers.get("limits")])],
    }
