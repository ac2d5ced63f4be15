"""Which of the options that were searched mattered, and whether that can be told from so many trials."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.experiments.search.book import Entry
from linnaea.experiments.search.space import Space
from linnaea.finding import Finding
from linnaea.statistics.association import holm, p_of_dependence, ranks_of

NAME = "importance"
FEWEST = 8  # trials
LEVEL = 0.05


def importance_finding(space: Space, entries: Sequence[Entry], seed: int = 0) -> Finding:
    """The share of the variance between trials that each option explains, and whether it is more than chance makes.

    The share is that of functional ANOVA (Hutter et al. 2014) on the ranks of the losses, that an option matters is
    told by permuting them, adjusted for the number of options. Pruned trials count with the lowest loss they reached.
    """
    known = [entry for entry in entries if entry.loss is not None and np.isfinite(entry.loss)]
    if len(known) < FEWEST:
        return Finding(
            NAME,
            f"Which option matters cannot be told from {len(known)} trials: expected {FEWEST} or more.",
            count=len(known),
        )
    ranks = ranks_of(np.array([entry.loss for entry in known], dtype=np.float64))
    shares = _shares(space, known, ranks, seed)
    columns = [[entry.values[name] for entry in known] for name in space.names]
    p_values = holm([p_of_dependence(column, ranks, seed) for column in columns])
    rows = [
        {"option": name, "share": round(shares[name], 4), "p": round(p, 4), "matters": "yes" if p < LEVEL else "no"}
        for name, p in zip(space.names, p_values, strict=True)
    ]
    rows.sort(key=lambda row: -float(str(row["share"])))
    return Finding(NAME, _summary(rows, len(known)), count=len(known), rows=rows)


def unknowable(trials: int) -> Finding:
    """That importance cannot be told where trials went on from one another: they share their weights as well."""
    return Finding(
        NAME,
        f"Which option matters cannot be told from {trials} trials that went on from one another: those with like "
        "values have like weights too. Search by --search random or bayes to see it.",
        count=trials,
    )


def _summary(rows: Sequence[dict[str, Any]], trials: int) -> str:
    found = [row for row in rows if row["matters"] == "yes"]
    if not found:
        return (
            f"None of {len(rows)} options is seen to matter in {trials} trials: the differences between them are no "
            "larger than chance makes."
        )
    listed = ", ".join(f"{row['option']} ({row['share']:.0%} of the variance, p = {row['p']:.2g})" for row in found)
    others = [row["option"] for row in rows if row["matters"] == "no"]
    rest = f" Of {', '.join(others)} that cannot be said." if others else ""
    return f"In {trials} trials it is seen that {listed} {'matters' if len(found) == 1 else 'matter'}.{rest}"


def _shares(space: Space, entries: Sequence[Entry], ranks: Floats, seed: int) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    study = optuna.create_study()
    for entry, rank in zip(entries, ranks.tolist(), strict=True):
        study.add_trial(optuna.create_trial(params=dict(entry.values), distributions=space.distributions, value=rank))
    try:
        found = FanovaImportanceEvaluator(seed=seed).evaluate(study)
    except RuntimeError:  # all trials were the same
        found = {}
    return {name: float(found.get(name, 0.0)) for name in space.names}
