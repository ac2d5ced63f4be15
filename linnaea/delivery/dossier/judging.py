"""How good it is and how that is known: validation, sub-groups, robustness, oversight, limits and the release gate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linnaea.delivery.dossier.contract import MEASURED, SECTIONS, Block, Sources, missing
from linnaea.delivery.report import origins, tables
from linnaea.delivery.report.folder import mapping
from linnaea.delivery.report.words import bounds, cell, decimal, figure, in_order, metric_named, moment, number, whole

RESULTS = ("Metrics", "Quantitative Analyses")
TRIALS = ("lighting", "occlusion", "damage")


@SECTIONS.register("validation", title="Validation, with its uncertainty", order=50)
def validation(sources: Sources) -> Iterator[Block]:
    """Every figure of the hold-out with its interval, class by class, and whether promises hold."""
    material = sources.material
    evaluation, points = material.evaluation, ("2(g)", "3")
    if evaluation.split != "test":
        yield missing("Figures of a sealed test split", "Give the data a test split, and train again.", points, RESULTS)
    told = [material.seal, f"Figures are of the {tables.split_words(evaluation.split)}, with 95 % intervals."]
    yield Block(MEASURED, "How it was judged", "run.json", ("2(g)",), ("Evaluation Data",), told)
    measured = mapping(evaluation.metrics.content)
    if not measured:
        yield missing("Every figure", f"linnaea evaluate {sources.place}", points, RESULTS)
        return
    rows = [_figure(name, mapping(measured[name])) for name in in_order(measured)]
    columns = ["Figure", "Value", "95 % interval", "Images", "Interval by"]
    yield Block(MEASURED, "Figures", "metrics.json", points, RESULTS, columns=columns, rows=rows)
    where = f"findings/{evaluation.split}.json"
    for title, page in {"Class by class": "classes", "Confusions": "confusion", "Confidence": "reliability"}.items():
        yield Block(MEASURED, title, where, points, ("Quantitative Analyses",), page=page)
    first, later = tables.promises_of(evaluation)
    promised = [finding.summary for finding in [*first, *later]]
    if promised:
        yield Block(MEASURED, "What was promised", where, points, RESULTS, promised)


def _figure(name: str, entry: Mapping[str, Any]) -> list[str]:
    metric = metric_named(name)
    value = "not defined" if number(entry.get("value")) is None else figure(entry.get("value"), metric)
    return [metric.title, value, bounds(entry, metric) or "–", whole(entry.get("n")), cell(entry.get("method"))]


@SECTIONS.register("subgroups", title="Sub-groups", order=60)
def subgroups(sources: Sources) -> Iterator[Block]:
    """Figures of each group of images, the worst one and the gaps."""
    found = sources.material.folder.findings("groups")
    points, card = ("2(g)", "3"), ("Factors", "Quantitative Analyses")
    if found.missing:
        yield missing("Figures of sub-groups", f"linnaea evaluate {sources.place} --by COLUMN", points, card)
        return
    told = [finding.summary for finding in found.content if finding.name != "groups"]
    yield Block(MEASURED, "What differs between groups", "findings/groups.json", points, card, told, page="groups")


@SECTIONS.register("robustness", title="Robustness", order=70)
def robustness(sources: Sources) -> Iterator[Block]:
    """What other light, a patch in the way, blur and compression cost, and how strangers are met."""
    points, card = ("2(g)", "3"), ("Quantitative Analyses",)
    tried = sources.rules(*TRIALS)
    rows = [_fact(fact) for rule in tried for fact in rule.get("evidence", ())]
    if rows:
        columns = ["Change", "Lost", "95 % interval", "Images", "Asked", "Outcome"]
        yield Block(
            MEASURED, "What changes of the image cost", "model/check.json", points, card, columns=columns, rows=rows
        )
    else:
        yield missing("Light, occlusion, blur and compression", f"linnaea check {sources.place}", points, card)
    strangers = [rule for rule in sources.rules("strangers") if rule.get("evidence")]
    if strangers:
        told = [cell(rule.get("sentence")) for rule in strangers]
        yield Block(MEASURED, "Images of none of the classes", "model/check.json", points, card, told)
    else:
        mend = f"linnaea evaluate {sources.place} --unknown FOLDER"
        yield missing("Images of none of the classes", mend, points, card)


def _fact(fact: Mapping[str, Any]) -> list[str]:
    told = mapping(fact.get("figure"))
    ends = f"{decimal(told.get('lo'))} to {decimal(told.get('hi'))}"
    return [
        cell(fact.get("what")),
        decimal(told.get("value")),
        ends,
        whole(told.get("n")),
        cell(fact.get("asked")),
        cell(fact.get("outcome")),
    ]


@SECTIONS.register("oversight", title="Human oversight", order=80)
def oversight(sources: Sources) -> Iterator[Block]:
    """How its answers tell a person when to look: reasons, prediction sets, and how often it declines."""
    answers = sources.material.evaluation.finding("answers")
    told = list(origins.policy_sentences(sources.material.described))
    yield Block(MEASURED, "When it hands over to a person", "model/classifier.json", ("2(e)", "3"), sentences=told)
    if not answers.missing:
        rows = [
            [cell(row.get("reason")), whole(row.get("count")), row["meaning"]]
            for row in tables.answer_rows(answers.content)
        ]
        where = f"findings/{sources.material.evaluation.split}.json"
        columns = ["Reason", "Images", "What it means"]
        yield Block(MEASURED, "How often it did on the hold-out", where, ("2(e)", "3"), columns=columns, rows=rows)


@SECTIONS.register("limits", title="Limits and foreseeable risks", order=90)
def limits(sources: Sources) -> Iterator[Block]:
    """What it cannot do, and what this run's figures caution against."""
    material = sources.material
    told = [*origins.limits(material.folder, material.described, []), *material.verdict.cautions]
    card = ("Caveats and Recommendations",)
    yield Block(MEASURED, "What follows from the run", "the files of the run", ("3",), card, told)


@SECTIONS.register("gate", title="The release gate", order=100)
def gate(sources: Sources) -> Iterator[Block]:
    """What the last check found, and who signed it off."""
    sign_off, mend = sources.sign_off, f"linnaea check {sources.place} --signed-off-by NAME"
    if sign_off is None:
        yield missing("A check by rules, signed off", mend, ("2(g)",))
        return
    if sign_off.void:
        yield missing("A check by rules that still holds", f"The last one is void: {sign_off.void}. {mend}", ("2(g)",))
        return
    if not sign_off.signed_by:
        yield missing("A signature under the check", mend, ("2(g)",))
    by = f", signed off by {sign_off.signed_by}" if sign_off.signed_by else ", signed off by nobody"
    rows = [[rule["title"], rule["outcome"], rule["sentence"]] for rule in sign_off.content.get("rules", ())]
    told: Sequence[str] = [f"Checked {moment(sign_off.content.get('checked'))}{by}."]
    columns = ["Rule", "Outcome", "Why"]
    yield Block(MEASURED, "Verdicts", "model/check.json", ("2(g)",), sentences=told, columns=columns, rows=rows)


@SECTIONS.register("lifecycle", title="Risk management, changes and monitoring", order=110)
def lifecycle(sources: Sources) -> Iterator[Block]:
    """What only its provider can say: risks, planned changes, standards, declaration, and how it is watched."""
    opened = sources.run.get("notes") or []
    if opened:
        yield Block(
            MEASURED, "What was noted while it was made", "run.json", ("6",), sentences=[str(note) for note in opened]
        )
