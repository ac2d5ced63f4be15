"""From what a server answered, as an audit log has it, to what monitors look at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.seen import Seen

SLICES = ("model", "version", "key")


def seen_of(records: Iterable[Mapping[str, Any]], classes: int) -> Seen:
    """The images of records of an audit log, in order; a row without logits for each of K classes has no scores."""
    rows = list(records)
    answers = [row["answer"] for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row["looks"]))
    return Seen(
        ids=[f"{row['request']}/{row['place']}" for row in rows],
        logits=np.array([_logits(row["logits"], classes) for row in rows], dtype=np.float64).reshape(-1, classes),
        confidence=_numbers(answer.get("confidence") for answer in answers),
        ood_scores=_numbers(answer.get("ood_score") for answer in answers),
        labels=[answer.get("label") for answer in answers],
        sets=[answer.get("prediction_set") for answer in answers],
        reasons=[answer.get("reason", "ok") for answer in answers],
        times=np.array([datetime.fromisoformat(row["time"]).timestamp() for row in rows], dtype=np.float64),
        looks={name: _numbers(row["looks"].get(name) for row in rows) for name in names},
        slices={name: [row[name] for row in rows] for name in SLICES},
    )


def joined_seen(parts: Sequence[Seen]) -> Seen:
    """Several, one after the other; a look that one of them does not have is NaN there."""
    looks = list(dict.fromkeys(name for part in parts for name in part.looks))
    slices = list(dict.fromkeys(name for part in parts for name in part.slices))
    none = [np.full(len(part), np.nan) for part in parts]

    def lists(name: str) -> list[Any]:
        return [one for part in parts for one in getattr(part, name)]

    def arrays(name: str) -> Floats:
        return np.concatenate([getattr(part, name) for part in parts])

    return Seen(
        ids=lists("ids"),
        logits=arrays("logits"),
        confidence=arrays("confidence"),
        ood_scores=arrays("ood_scores"),
        labels=lists("labels"),
        sets=lists("sets"),
        reasons=lists("reasons"),
        times=arrays("times"),
        looks={
            name: np.concatenate([part.looks.get(name, gap) for part, gap in zip(parts, none, strict=True)])
            for name in looks
        },
        slices={name: [one for part in parts for one in part.slices.get(name, [None] * len(part))] for name in slices},
    )


def _logits(values: Sequence[float | None], classes: int) -> list[float]:
    told = [np.nan if value is None else value for value in values]
    return told if len(told) == classes else [np.nan] * classes


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
