"""The page of a retraining, from what `retraining.json` holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.delivery.report.page import environment
from linnaea.delivery.report.words import metric_named

SETS = {"old": "The old test set", "new": "The new test set"}
COLOURS = {"promoted": "finished", "passed": "finished", "kept back": "warning"}


def render_retraining(content: Mapping[str, Any]) -> str:
    """What called for it, which data it learnt from, how it was judged, and what was decided, as HTML."""
    data = content["data"]
    facts = [
        ("Decided", content["decided"]),
        ("Old run", content["old"]),
        ("New run", content["new"]),
        ("Place", content["place"] or "none was given"),
        ("Images", f"{data['images']:,}"),
        ("Reviewed images", ", ".join(f"{count:,} in {name}" for name, count in data["reviewed"].items())),
        ("Left out", f"{len(data['left_out']):,}"),
    ]
    return (
        environment()
        .get_template("retraining.html")
        .render(
            content=content,
            name=Path(content["new"]).name,
            colour=COLOURS[content["outcome"]],
            facts=facts,
            comparisons=[
                {"title": SETS[name], "metric": metric_named(found["metric"]).title, **found}
                for name, found in content["comparisons"].items()
            ],
        )
    )
