"""What a server counts and logs, and whom it lets ask: from the options to the layers around its application."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI

from linnaea.delivery.monitoring.live import Watching
from linnaea.delivery.monitoring.live.gauges import Gauges
from linnaea.delivery.serving.audit_log import AuditLog
from linnaea.delivery.serving.audit_log.writing import unwritable
from linnaea.delivery.serving.contract import Observer
from linnaea.delivery.serving.keys import Keys
from linnaea.delivery.serving.layers import surround
from linnaea.delivery.serving.logs import logged_in_json
from linnaea.delivery.serving.metrics import Metrics, shared_metrics
from linnaea.delivery.serving.rates import Rates, parse_rate
from linnaea.options import Access, AuditLogging
from linnaea.runtime.locks import held


@contextmanager
def accounting(access: Access, audit_log: AuditLogging, workers: int = 1) -> Iterator[Callable[[int], "Accounting"]]:
    """Before anything is loaded: the file of keys is read, and the folder of the log is held and can be written.

    Gives what makes the accounting of a process: of the only one (0), or of a worker, 1 to `workers`. Workers are to be
    forked meanwhile, and `metrics.worker_ended` to be told of each that has ended. Raises UsageError and RunError where
    any of it cannot be.
    """
    with ExitStack() as resources:
        resources.enter_context(logged_in_json())
        if access.keys is not None:
            Keys(Path(access.keys))
        if workers == 1:
            only = Accounting(access, audit_log)
            resources.callback(only.close)
            yield lambda worker: only
            return
        if audit_log.log is not None:
            resources.enter_context(_held(Path(audit_log.log)))
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="linnaea-metrics-"))
        resources.enter_context(shared_metrics(Path(folder)))
        yield lambda worker: Accounting(access, audit_log, worker, workers)


class Accounting:
    """What one process counts and logs: `observers` of its answers, `routers` beside its own, layers `around` it."""

    def __init__(self, access: Access, audit_log: AuditLogging, worker: int = 0, workers: int = 1) -> None:
        self.metrics = Metrics()
        self._access = access
        self._keys = None if access.keys is None else Keys(Path(access.keys))
        self._rates = None if access.rate is None else Rates(*parse_rate(access.rate))
        told = self.metrics.not_logged
        self._log = (
            None
            if audit_log.log is None
            else AuditLog(Path(audit_log.log), audit_log.policy, worker=worker, workers=workers, told=told)
        )

    @property
    def observers(self) -> Sequence[Observer]:
        """The log first: what it refuses is not given, and is not counted as if it were."""
        return [*([self._log] if self._log is not None else []), self.metrics]

    @property
    def routers(self) -> Sequence[APIRouter]:
        """`/metrics`."""
        return [self.metrics.router()]

    def around(self, application: FastAPI, *, local: bool = False) -> FastAPI:
        """The application with the layers around it; `local` says that this machine alone can ask it."""
        self.metrics.watch_queue(lambda: application.state.answering.waiting)
        return surround(
            application,
            metrics=self.metrics,
            keys=self._keys,
            rates=self._rates,
            origins=self._access.cors,
            local=local,
        )

    def show(self, watching: Watching | None) -> None:
        """Tell Prometheus of a live watch too, where there is one."""
        if watching is not None:
            gauges = Gauges(self.metrics.gauge)
            self.metrics.keep_up(lambda: gauges.show(watching))

    def close(self) -> None:
        """There is nothing more to come, as the observers were told, where the server came so far."""
        for observer in self.observers:
            observer.close()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder of a log for all workers, each of which holds that of its own chain in it."""
    with ExitStack() as resources:
        try:
            resources.enter_context(held(folder))
        except OSError as error:
            raise unwritable(folder, error) from None
        yield
