"""Alerts in a file that others read."""

import json
import os
from pathlib import Path

from linnaea.delivery.monitoring.alerts.contract import ALERTS, Alert, AlertNotSentError, Channel
from linnaea.errors import UsageError
from linnaea.runtime.boundary import reason_of


@ALERTS.register("file", title="File", order=20, target="file")
class File(Channel):
    """A line of JSON at the end of a file, which is on the disk before the alert counts as told."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.path = Path(target)
        if self.path.is_dir():
            raise UsageError(f"{target} is a folder: expected a file for alerts, such as alerts.jsonl.")
        try:
            self._append(b"")
        except OSError as error:
            raise UsageError(f"alerts cannot be written to {target}: {reason_of(error)}.") from None

    def send(self, alert: Alert) -> None:
        """Append it as a whole line."""
        try:
            self._append(json.dumps(alert.to_json(), ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise AlertNotSentError(f"{self.target} cannot be written: {reason_of(error)}") from None

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                written = file.write(line)
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
            if written != len(line):
                file.truncate(size)
                raise OSError(28, os.strerror(28))
