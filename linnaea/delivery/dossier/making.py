"""What it is for, what it is part of, what it was made of, and how."""

from collections.abc import Iterator

from linnaea.delivery.dossier.contract import MEASURED, SECTIONS, Block, Sources, missing
from linnaea.delivery.report import origins
from linnaea.delivery.report.folder import listing, mapping
from linnaea.delivery.report.words import cell, counted, duration, moment, number, whole


@SECTIONS.register("purpose", title="Purpose and intended use", order=10)
def purpose(sources: Sources) -> Iterator[Block]:
    """What it answers, and what people say that it is for."""
    material = sources.material
    classes = origins.classes_of(material.folder, material.described)
    several = material.folder.several
    named = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
    told = f"It answers with {'any of' if several else 'one of'} {counted(len(classes), 'class', 'classes')}: {named}."
    yield Block(
        MEASURED,
        "What it answers",
        "model/classifier.json",
        ("1(a)", "2(b)"),
        ("Model Details",),
        [told, *origins.policy_sentences(material.described)],
    )


@SECTIONS.register("system", title="The system around it", order=20)
def system(sources: Sources) -> Iterator[Block]:
    """The software that it was made by, and the form and the hardware that it is meant for."""
    versions = [(name, cell(value)) for name, value in mapping(sources.run.get("versions")).items()]
    yield Block(MEASURED, "Software it was made by", "run.json", ("1(c)",), ("Model Details",), pairs=versions)
    recipe = mapping(sources.material.described.get("recipe"))
    told = (
        f"Images are decoded to {cell(recipe.get('size'))} pixels a side (fit: {cell(recipe.get('fit'))}), of at most "
        f"{whole(recipe.get('max_pixels'))} pixels; whatever cannot be decoded is answered “unreadable”."
    )
    yield Block(MEASURED, "What it takes", "model/classifier.json", ("3",), sentences=[told])


@SECTIONS.register("data", title="The data and the rights to it", order=30)
def data(sources: Sources) -> Iterator[Block]:
    """How many images of which classes and splits there are, what the audit found, and where they come from."""
    folder, manifest, audit = sources.material.folder, sources.material.manifest, sources.material.audit
    card = ("Training Data", "Evaluation Data")
    yield Block(MEASURED, "What was used", "run.json", ("2(d)", "2(g)"), card, pairs=origins.provenance(folder))
    if manifest.missing:
        yield missing("Images of each class and split", manifest.missing, ("2(d)",), card)
    else:
        table = origins.split_table(folder, manifest, 40)
        rows = [[row["label"], *map(whole, row["counts"]), whole(row["total"])] for row in table["rows"]]
        columns = ["Class", *table["splits"], "all"]
        yield Block(
            MEASURED, "Images of each class and split", "manifest.csv", ("2(d)",), card, columns=columns, rows=rows
        )
        left = [[group.reason, whole(group.count)] for group in manifest.content.left_out]
        if left:
            yield Block(MEASURED, "Left out", "manifest.csv", ("2(d)",), card, columns=["Reason", "Files"], rows=left)
    if audit.missing:
        yield missing("The audit of the data", f"linnaea audit {cell(folder.dataset.get('root'))}", ("2(d)",), card)
    else:
        raised = [finding.summary for finding in audit.content if finding.severity != "info"]
        told = raised or ["The audit raised no warning."]
        yield Block(MEASURED, "What the audit warns of", "findings/audit.json", ("2(d)",), card, sentences=told)


@SECTIONS.register("design", title="Design choices", order=40)
def design(sources: Sources) -> Iterator[Block]:
    """What was tried, what was chosen and why, which weights it began with, and what it took."""
    run, ladder = sources.run, sources.material.ladder
    because = str(run.get("chosen_because") or "")
    yield Block(
        MEASURED,
        "What was chosen, and why",
        "run.json",
        ("2(a)", "2(b)"),
        ("Model Details",),
        [f"Chosen: {cell(run.get('chosen'))}. {because}".strip()],
    )
    if not ladder.missing:
        columns = ["Tried", "Metric", "Value", "95 % interval", "Seconds"]
        rows = [
            [row.get("rung"), row.get("metric"), _short(row.get("value")), _range(row), _short(row.get("seconds"), 1)]
            for row in ladder.content
        ]
        yield Block(MEASURED, "What it was compared with, on val", "ladder.csv", ("2(b)",), columns=columns, rows=rows)
    weights = [mapping(one) for one in listing(mapping(run.get("way")).get("weights"))]
    told = [_weights(one) for one in weights if one] or ["No pretrained weights were used."]
    yield Block(MEASURED, "Pretrained weights", "run.json", ("2(a)",), ("Model Details",), sorted(set(told)))
    pairs = [("started", moment(run.get("started"))), ("took", duration(run.get("seconds")))]
    pairs += [(name, cell(value)) for name, value in mapping(run.get("machine")).items()]
    pairs += [("command", cell(run.get("command"))), ("seed", cell(run.get("seed")))]
    yield Block(MEASURED, "What it took to make", "run.json", ("2(c)",), ("Model Details",), pairs=pairs)


def _weights(told: "dict[str, object]") -> str:
    licence = f", licence {told['licence']}" if told.get("licence") else ", of which the licence is not known"
    return f"{cell(told.get('network'))} from {cell(told.get('source'))}{licence}, SHA-256 {cell(told.get('sha256'))}."


def _short(value: object, digits: int = 3) -> str:
    known = number(value)
    return "–" if known is None else f"{known:.{digits}f}"


def _range(row: "dict[str, str]") -> str:
    return f"{_short(row.get('lo'))} to {_short(row.get('hi'))}" if number(row.get("lo")) is not None else "–"
