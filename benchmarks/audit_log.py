"""What the audit log adds to each answer, by how surely it is written, and how fast a log is read and proved."""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import keep
from linnaea.delivery.serving.audit_log import AuditLog, LogPolicy, read_log
from linnaea.delivery.serving.audit_log.policy import SYNC
from linnaea.delivery.serving.contract import Answered

ANSWERS, BATCH = 20_000, 8


def main(answers: int = ANSWERS) -> None:
    """For 10 and 1,000 classes."""
    rows = []
    for classes in (10, 1000):
        for sync in SYNC:
            count = answers // 20 if sync == "answer" else answers
            rows.append({"classes": f"{classes:,}", "--log-sync": sync, **measured(classes, sync, count)})
    remarks = (
        f"Batches of {BATCH} answers with the logits of all classes, written one after the other; written is the wait "
        "of each answer of a batch, read what `linnaea verify` does with each record."
    )
    keep("audit_log", "The audit log", rows, remarks)


def measured(classes: int, sync: str, count: int) -> dict[str, str]:
    """Microseconds for each answer of so many, and bytes."""
    batch = batch_of(classes)
    with tempfile.TemporaryDirectory() as place:
        log, started = AuditLog(Path(place), LogPolicy(sync=sync)), time.perf_counter()
        for _ in range(count // BATCH):
            log.answered(batch)
        written = (time.perf_counter() - started) / count
        log.close()
        size = sum(path.stat().st_size for path in Path(place).glob("*.jsonl"))
        started = time.perf_counter()
        found = read_log(place)
        records = sum(1 for _ in found.records)
        read = (time.perf_counter() - started) / records
        assert records == count // BATCH * BATCH
        assert not found.faults
    return {
        "written": f"{written * 1e6:.0f} us",
        "read": f"{read * 1e6:.0f} us",
        "bytes of a record": f"{size / records:,.0f}",
    }


def batch_of(classes: int) -> list[Answered]:
    """Answers as a server gives them."""
    logits = tuple(np.random.default_rng(0).normal(size=classes).tolist())
    answer = {"label": "bee", "confidence": 0.93, "prediction_set": ["bee"], "ood_score": 1.25, "reason": "ok"}
    looks = dict.fromkeys(("width", "height", "bytes", "brightness", "spread", "sharpness"), 0.5)
    now = time.time()
    return [
        Answered("5f0c0a4e" * 4, place, now, "bees", "3", "a" * 64, answer, None, "b" * 64, None, logits, looks)
        for place in range(BATCH)
    ]


if __name__ == "__main__":
    main()
