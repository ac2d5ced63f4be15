"""The model card."""

from linnaea.data.datasheet import FILE, read_datasheet
from linnaea.delivery.card import ELSEWHERE, NO_DATASHEET
from linnaea.delivery.report import origins, tables
from linnaea.delivery.report.folder import Part, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import counted

MOST_NAMES = 8


@PAGES.register("card", title="Model card", order=200)
def card(material: Material) -> Part:
    """What a model card can say from the facts of the run alone."""
    folder, evaluation, classifier = material.folder, material.evaluation, material.described
    rare = [name for name, images in tables.images_of_each(evaluation) if images < 10]
    small = [f"Little is known about classes with few images: {', '.join(rare[:6])}."] if rare else []
    classes = origins.classes_of(folder, classifier)
    named = ", ".join(classes[:MOST_NAMES]) + (", …" if len(classes) > MOST_NAMES else "")
    all_classes = f"{counted(len(classes), 'class', 'classes')} ({named})"
    sheet = folder.read(FILE, read_datasheet, NO_DATASHEET)
    answers = {} if sheet.missing else dict(sheet.content.told())
    content = {
        "sheet": sheet,
        "answers": answers,
        "told": [(key.replace("_", " "), text) for key, text in answers.items() if key not in ELSEWHERE],
        "classes": all_classes if classes else "the classes it was trained on",
        "model": origins.facts(mapping(classifier.get("model"))),
        "origin": origins.facts(mapping(classifier.get("provenance"))),
        "evaluation": material.verdict.summary,
        "limits": [*origins.limits(folder, classifier, small), *filter(None, [answers.get("limits")])],
    }

    return Part(content, partly=bool(material.classifier.missing))
