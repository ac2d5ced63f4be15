"""How often prediction sets hold the truth if probabilities are right, without labels."""

from dataclasses import replace

import numpy as np

from linnaea.delivery.monitoring.monitors.accuracy import CAUTION, answered, probabilities_of, row_of
from linnaea.delivery.monitoring.monitors.contract import Watched
from linnaea.delivery.monitoring.seen import Seen
from linnaea.finding import Estimate, Finding
from linnaea.statistics.label_free import mean_confidence


def expected(watched: Watched) -> Finding:
    """The mean probability of the classes in each set, window by window, beside what was promised."""
    found = [(window, _mass(answered(window.seen), watched.classes)) for window in watched.windows]
    rows = [row_of(window, estimate, watched.policy.coverage) for window, estimate in found]
    known = [estimate for _, estimate in found if estimate.value is not None]
    if not known:
        return Finding("expected_coverage", "Coverage is not estimated: there are no prediction sets.", "warning")
    told = f"Sets of the last window hold the truth in about {known[-1]}, if probabilities mean what they say"
    return Finding(
        "expected_coverage",
        f"{told}; {watched.policy.coverage:g} was promised. {CAUTION.replace('not accuracy', 'not coverage')}",
        count=known[-1].n,
        figure=known[-1],
        rows=rows,
    )


def _mass(seen: Seen, classes: tuple[str, ...]) -> Estimate:
    """The mean over images of what the classes in the set hold together."""
    numbers = {name: number for number, name in enumerate(classes)}
    probabilities = probabilities_of(seen)
    masses = [
        min(1.0, float(row[[numbers[name] for name in members if name in numbers]].sum()))
        for row, members in zip(probabilities, seen.sets, strict=True)
        if members is not None
    ]
    return replace(mean_confidence(np.array(masses)), method="mean probability of the set, without labels")
