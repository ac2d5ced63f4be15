"""The audit log that a server writes: a line for each answer, in the file before the answer leaves."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.delivery.serving.audit_log.chain_file import ChainFile
from linnaea.delivery.serving.audit_log.images import keep_image
from linnaea.delivery.serving.audit_log.lines import LOGIT_DECIMALS, chain_name, line_of, told_time
from linnaea.delivery.serving.audit_log.policy import IMAGES, LogPolicy
from linnaea.delivery.serving.audit_log.resuming import end_of
from linnaea.delivery.serving.audit_log.syncing import Syncing
from linnaea.delivery.serving.audit_log.unlogged import Unlogged
from linnaea.delivery.serving.contract import Answered
from linnaea.errors import UnavailableError, UsageError
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.locks import held

ANSWER = ("label", "confidence", "prediction_set", "ood_score", "reason")
JITTER = 1.0  # seconds by which a clock may be corrected unnoticed
Told = Callable[[int, str], object]  # answers that were not logged, and what became of them: "refused" or "given"
logger = logging.getLogger("linnaea")


class AuditLog:
    """An observer that logs every answer in a folder, which it holds: no second server can log there.

    Of several workers, `worker` (1 to `workers`) has a chain of its own in the folder `worker-N`; 0 is a single server,
    with its chain in the folder itself. `told` hears of answers that could not be logged. Raises UsageError where the
    folder cannot be written, RunError where another server holds it, DataError where no chain can go on in it.
    """

    def __init__(
        self,
        folder: Path,
        policy: LogPolicy = LogPolicy(),
        *,
        worker: int = 0,
        workers: int = 1,
        told: Told = lambda count, outcome: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._policy, self._told, self._clock = folder, policy, told, clock
        self._alone, self._latest, self._unlogged = threading.Lock(), float("-inf"), Unlogged()
        chain = folder / chain_name(worker)
        with ExitStack() as resources:
            try:
                resources.enter_context(held(chain))
                end = end_of(chain)
                self._sequence, self._head = end.sequence, end.head
                self._file = ChainFile(chain, end.file, end.bytes, policy)
                resources.callback(self._file.close)
                opened = {"event": "opened", "process": os.getpid(), "workers": workers, "after_closed": end.closed}
                self._append([self._event(opened | ({"cut": end.cut} if end.cut else {}))])
            except OSError as error:
                raise unwritable(folder, error) from None
            self._syncing = Syncing(self._file.copy_of_handle) if policy.sync == "second" else None
            self._resources: ExitStack | None = resources.pop_all()

    def answered(self, batch: Sequence[Answered]) -> None:
        """Log these; raises UnavailableError where that cannot be done and the policy is to refuse."""
        with self._alone:
            try:
                self._keep_images(batch)
                if self._syncing is not None:
                    self._syncing.raise_failure()
                self._append([*self._unlogged_before(), *(self._record(one) for one in batch)])
            except OSError as error:
                self._could_not(len(batch), error)
                return
            if self._syncing is not None:
                self._syncing.wanted()
            self._unlogged.clear()

    def close(self) -> None:
        """Close the chain by a last line, and let others have the folder."""
        if self._syncing is not None:
            self._syncing.stop()
        with self._alone:
            resources, self._resources = self._resources, None
            if resources is None:
                return
            try:
                with resources:
                    self._append([*self._unlogged_before(), self._event({"event": "closed"})])
            except OSError as error:
                logger.error(f"the audit log in {self._folder} could not be closed ({reason_of(error)}).")

    def _append(self, contents: Sequence[Mapping[str, Any]]) -> None:
        """Append lines with these contents, all or none."""
        sequence, head, lines = self._sequence, self._head, []
        for content in contents:
            line, head = line_of(sequence + 1, head, content)
            sequence += 1
            lines.append(line)
        self._file.append(b"".join(lines))
        self._sequence, self._head = sequence, head

    def _record(self, one: Answered) -> dict[str, Any]:
        if one.time < self._latest - JITTER:
            logger.warning(
                f"the clock went back by {self._latest - one.time:.0f} s: the audit log goes by its sequence."
            )
        self._latest = one.time
        return record_of(one)

    def _event(self, content: Mapping[str, Any]) -> dict[str, Any]:
        return {"time": told_time(self._clock()), **content}

    def _unlogged_before(self) -> list[dict[str, Any]]:
        return [self._event(self._unlogged.event())] if self._unlogged.count else []

    def _keep_images(self, batch: Sequence[Answered]) -> None:
        if self._policy.keep_images:
            for one in batch:
                if one.image is not None and one.sha256 is not None:
                    keep_image(self._folder / IMAGES, one.sha256, one.image, durable=self._policy.sync == "answer")

    def _could_not(self, count: int, error: OSError) -> None:
        """Count and say it; raises UnavailableError where the answers are withheld."""
        reason, refused = reason_of(error), self._policy.on_failure == "refuse"
        outcome = "refused" if refused else "given"
        self._told(count, outcome)
        if self._unlogged.add(count, self._clock(), outcome, reason):
            logger.error(
                f"the audit log in {self._folder} cannot be written ({reason}): answers are {outcome} unlogged."
            )
        if refused:
            raise UnavailableError(f"the audit log cannot be written ({reason}), and no answer is given unlogged.")


def record_of(one: Answered) -> dict[str, Any]:
    """An answer as it is logged."""
    return {
        "time": told_time(one.time),
        "request": one.request,
        "place": one.place,
        "key": one.key,
        "sha256": one.sha256,
        "model": one.model,
        "version": one.version,
        "digest": one.digest,
        "answer": {name: one.answer[name] for name in ANSWER if name in one.answer},
        "logits": np.round(np.asarray(one.logits, dtype=np.float64), LOGIT_DECIMALS).tolist(),
        "looks": one.looks,
    }


def unwritable(folder: Path, error: OSError) -> UsageError:
    """The folder of a log cannot be written."""
    return UsageError(
        f"the audit log cannot be written to {folder} ({reason_of(error)}): give another folder by --log, or make this "
        "one writable."
    )
