"""Answers as a server logs them, drawn by chance: probabilities are right where nothing changed."""

from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.special import log_softmax, softmax

from linnaea.decisions import Policy
from linnaea.delivery.monitoring.seen import Seen
from linnaea.delivery.serving.contract import Answered

CLASSES = ("ant", "bee", "wasp")
POLICY = Policy(coverage=0.9, set_threshold=0.15, ood_threshold=3.0, confidence_threshold=0.4)
START = datetime(2026, 1, 1, tzinfo=UTC)
SHARES = (0.4, 0.3, 0.3)


def drawn(
    random: np.random.Generator, n: int, *, apart: float = 3.0, shares: tuple = SHARES, strange: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (n, 3), OOD scores and classes (n,); `strange` is added to scores, `apart` says how easy images are."""
    truth = random.choice(3, n, p=shares)
    seen = apart * np.eye(3)[truth] + random.normal(size=(n, 3))
    logits = log_softmax(apart * seen + np.log(SHARES), axis=1)
    return logits, random.normal(size=n) + strange, truth


def answered(logits: np.ndarray, scores: np.ndarray, *, first: int = 0, places: int = 1, digest: str = "d1") -> list:
    """What a server tells of these, `places` images to a request, a request a minute."""
    found = []
    for number, (row, score) in enumerate(zip(logits, scores, strict=True), first):
        probabilities = softmax(row)
        best, confidence = int(probabilities.argmax()), float(probabilities.max())
        answer = {
            "label": CLASSES[best],
            "confidence": confidence,
            "prediction_set": [CLASSES[k] for k in range(3) if probabilities[k] >= 0.15 or k == best],
            "ood_score": float(score),
            "reason": "unfamiliar" if score > 3 else "unsure" if confidence < 0.4 else "ok",
        }
        found.append(
            Answered(
                request=f"r{number // places}",
                place=number % places,
                time=(START + timedelta(minutes=number)).timestamp(),
                model="insects",
                version=digest[:12],
                digest=digest,
                answer=answer,
                sha256=f"{number:064x}",
                logits=tuple(row.tolist()),
                looks={"brightness": 0.5 + 0.001 * (number % 10)},
            )
        )
    return found


def reference(random: np.random.Generator, n: int = 400, **how) -> Seen:
    """What was said of labelled images of before."""
    from linnaea.delivery.monitoring.answers import seen_of
    from linnaea.delivery.serving.audit_log.writing import record_of

    logits, scores, truth = drawn(random, n, **how)
    seen = seen_of(map(record_of, answered(logits, scores)), 3)
    return seen.with_(truth=[CLASSES[k] for k in truth], times=np.full(n, np.nan))
