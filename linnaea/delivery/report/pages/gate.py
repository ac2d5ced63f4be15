"""The release gate: what the last check found, and whether it still speaks of these files."""

from typing import Any

from linnaea.classifier.sign_off import FILE, read_sign_off
from linnaea.delivery.report.folder import Part, listing, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import cell, counted, decimal, moment, number, whole

COLOURS = {"pass": "finished", "fail": "error", "too few": "warning", "not done": "", "waived": ""}
ORDER = ("fail", "too few", "not done", "waived", "pass")


@PAGES.register("gate", title="Release gate", order=5)
def gate(material: Material) -> Part | None:
    """What `linnaea check` found, rule by rule with its evidence; only of a run that was checked."""
    folder = material.folder.path
    found = read_sign_off(folder / "model", run=folder)
    if found is None:
        return None
    rules = [_rule(mapping(one)) for one in listing(found.content.get("rules"))]
    if not rules:
        return Part(missing=f"model/{FILE} says nothing: {found.void}. Run `linnaea check` again.")
    counts = [(name, sum(rule["outcome"] == name for rule in rules)) for name in ORDER]
    return Part(
        {
            "rules": sorted(rules, key=lambda rule: rule["rank"]),
            "counts": [(name, COLOURS[name], count) for name, count in counts if count],
            "signed_by": found.signed_by,
            "void": found.void,
            "when": moment(found.content.get("checked")),
        }
    )


def _rule(told: dict[str, Any]) -> dict[str, Any]:
    outcome = str(told.get("outcome"))
    return {
        "title": cell(told.get("title")),
        "name": cell(told.get("rule")),
        "outcome": outcome,
        "rank": ORDER.index(outcome) if outcome in ORDER else 0,
        "colour": COLOURS.get(outcome, ""),
        "sentence": cell(told.get("sentence")),
        "mend": "" if outcome == "pass" else str(told.get("mend") or "").replace("`", ""),
        "evidence": [_fact(mapping(one)) for one in listing(told.get("evidence"))],
        "more": counted(len(listing(told.get("evidence"))), "fact"),
    }


def _fact(told: dict[str, Any]) -> dict[str, Any]:
    figure = mapping(told.get("figure"))
    lo, hi = number(figure.get("lo")), number(figure.get("hi"))
    return {
        "what": cell(told.get("what")),
        "value": decimal(figure.get("value")),
        "interval": "" if lo is None or hi is None else f"{decimal(lo)} to {decimal(hi)}",
        "n": whole(figure.get("n")) if figure else "",
        "asked": str(told.get("asked") or ""),
        "file": cell(told.get("file")),
        "outcome": cell(told.get("outcome")),
        "colour": COLOURS.get(str(told.get("outcome")), ""),
    }
