"""The audit log: what was answered, when, to whom and by which model, in a chain of hashes that shows every change."""

from linnaea.delivery.serving.audit_log.policy import LogPolicy
from linnaea.delivery.serving.audit_log.reading import Fault, Log, read_log
from linnaea.delivery.serving.audit_log.writing import AuditLog

__all__ = ["AuditLog", "Fault", "Log", "LogPolicy", "read_log"]
