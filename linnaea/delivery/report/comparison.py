"""The page of a comparison, from what `comparison.json` holds."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from linnaea.delivery.report.charts.standing import Standing, ranks_chart, standing_chart
from linnaea.delivery.report.page import environment
from linnaea.delivery.report.words import metric_named


def render_comparison(content: Mapping[str, Any]) -> str:
    """A comparison of several classifiers, on the same images or over data sets, as HTML."""
    over = "ranks" in content
    chart = _ranks(content) if over else _values(content)
    names = list(content["ranks"] if over else content["values"])
    first, *rest = re.split(r"(?<=\.) (?=[A-Z])", content["sentence"])
    return (
        environment()
        .get_template("comparison.html")
        .render(
            content=content,
            verdict=(first, " ".join(rest)),
            name=" and ".join(names) if len(names) == 2 else f"{len(names)} classifiers",
            metric=metric_named(content["metric"]),
            over=over,
            chart=chart,
            names=names,
            further=content.get("further", ()),
            alike=content.get("alike", ()),
        )
    )


def _values(content: Mapping[str, Any]) -> str:
    known = [
        Standing(name, value["value"], None if value["lo"] is None else (value["lo"], value["hi"]))
        for name, value in content["values"].items()
        if value["value"] is not None
    ]
    if not known:
        return ""
    title = metric_named(content["metric"]).title
    return standing_chart(known, _places(content["alike"], [one.name for one in known]), title, content["share"])


def _ranks(content: Mapping[str, Any]) -> str:
    return ranks_chart(content["ranks"], content["critical_difference"])


def _places(groups: Sequence[Sequence[str]], names: Sequence[str]) -> list[tuple[int, int]]:
    return [(names.index(group[0]), names.index(group[-1])) for group in groups]
