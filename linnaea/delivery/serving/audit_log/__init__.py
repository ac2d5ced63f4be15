"""The audit log: what was answered, when, to whom and by which model, in a chain of hashes that shows every change."""

from typing import TYPE_CHECKING

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    from linnaea.delivery.serving.audit_log.chain import Fault
    from linnaea.delivery.serving.audit_log.policy import LogPolicy
    from linnaea.delivery.serving.audit_log.reading import Log, read_log
    from linnaea.delivery.serving.audit_log.writing import AuditLog

__all__ = ["AuditLog", "Fault", "Log", "LogPolicy", "read_log"]

_PACKAGE = "linnaea.delivery.serving.audit_log"
__getattr__ = lazily(
    __name__,
    {
        "AuditLog": f"{_PACKAGE}.writing",
        "Fault": f"{_PACKAGE}.chain",
        "Log": f"{_PACKAGE}.reading",
        "LogPolicy": f"{_PACKAGE}.policy",
        "read_log": f"{_PACKAGE}.reading",
    },
)
