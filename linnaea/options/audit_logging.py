"""Whether and how every answer is logged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from linnaea.delivery.serving.audit_log.policy import IMAGES, ON_FAILURE, SYNC, LogPolicy
from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.runtime.sizes import parse_bytes


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class AuditLogging(Options):
    """The audit log, as in `linnaea.delivery.serving.audit_log.policy.LogPolicy`: none without a folder `log`."""

    title = "Audit log"

    log: Annotated[
        str | Path | None, Option("Folder of the audit log, which is made if need be. Default: none.", read=Path)
    ] = None
    log_sync: Annotated[
        str,
        Option(
            "When the disk must have a record: answer (before the answer leaves), second (later at most), or system.",
            checks.one_of(*SYNC),
        ),
    ] = LogPolicy.sync
    log_size: Annotated[
        str,
        Option("Size at which the next file of the log is begun.", checks.readable_by(parse_bytes)),
    ] = "64MB"
    keep_images: Annotated[bool, Option("Keep the images beside the log, each once. Default: only their hashes.")] = (
        LogPolicy.keep_images
    )
    on_log_failure: Annotated[
        str,
        Option("What to do with answers that cannot be logged: refuse (503), or continue.", checks.one_of(*ON_FAILURE)),
    ] = LogPolicy.on_failure

    @property
    def policy(self) -> LogPolicy:
        """The same as the log takes it."""
        return LogPolicy(self.log_sync, parse_bytes(self.log_size), self.keep_images, self.on_log_failure)

    @property
    def kept(self) -> Path | None:
        """The folder of the images that are kept; None where none are."""
        return None if self.log is None or not self.keep_images else Path(self.log) / IMAGES
