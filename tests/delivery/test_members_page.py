"""The report draws the parts of uncertainty of unknown images where some were looked at."""

from types import SimpleNamespace

import pytest

from linnaea.delivery.report.pages.members import members
from linnaea.finding import Finding
from linnaea.predictions import UNCERTAINTY


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_unknown_images_are_drawn_beside_known_ones(seen):
    bins = [{"part": name, "lo": place, "hi": place + 1} for name in UNCERTAINTY for place in range(3)]
    own = Finding("uncertainty_parts", "of answers", rows=[{**row, "right": 4, "wrong": 1} for row in bins])
    strange = Finding(
        "unknown_uncertainty_parts", "of unknown", rows=[{**row, "known": 5, "unknown": 2} for row in bins]
    )
    found = {f"openset-things-{number}": SimpleNamespace(content=[strange]) for number in range(seen)}
    folder = SimpleNamespace(named_findings=lambda name: list(found), findings=found.get)
    evaluation = SimpleNamespace(findings=SimpleNamespace(content=[own]))
    part = members(SimpleNamespace(folder=folder, evaluation=evaluation))
    assert len(part.content["charts"]) == len(UNCERTAINTY)
    assert [len(one["charts"]) for one in part.content["unknown"]] == [len(UNCERTAINTY)] * seen
    assert all("unknown (6)" in chart for one in part.content["unknown"] for chart in one["charts"])
