"""How it answers: the policy in words, and what became of the images."""

from linnaea.delivery.report import origins, tables
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("answers", title="How it answers", order=120, draws=("answers", "unreadable"))
def answers(material: Material) -> Part:
    """Missing only when both the policy and the table of answers are; each says for itself if it is alone."""
    classifier, evaluation = material.classifier, material.evaluation
    policy = classifier if classifier.missing else Part(list(origins.policy_sentences(classifier.content)))
    counted = evaluation.finding("answers")
    rows = counted if counted.missing else Part(tables.answer_rows(counted.content, several=material.folder.several))
    unreadable = evaluation.finding("unreadable")
    files = Part([] if unreadable.missing else unreadable.content.rows)
    missing = f"{policy.missing} {rows.missing}" if policy.missing and rows.missing else ""
    partly = bool(policy.missing or rows.missing)
    return Part({"policy": policy, "rows": rows, "unreadable": files}, missing, partly=partly)
