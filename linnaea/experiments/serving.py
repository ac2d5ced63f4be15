"""A server from the folders of its models to its end."""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.classifier.signature import Trust
from linnaea.errors import MissingExtraError
from linnaea.experiments.finished_run import placed
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.experiments.served_page import review_folder, served_page
from linnaea.options import Access, AuditLogging, Hosting, Monitoring, Serving
from linnaea.run import Run

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fastapi import FastAPI

    from linnaea.delivery.serving.fleet import Crew, Fleet
    from linnaea.delivery.serving.models import Served, Source
    from linnaea.delivery.serving.post import Post
    from linnaea.experiments.accounting import Accounting


@dataclass(frozen=True)
class Loading:
    """How classifiers are loaded to be served: keys in `trust`, images of up to `max_pixels`, and the `device`."""

    trust: Trust = None
    max_pixels: int | None = None
    device: str = "auto"

    def __call__(self, source: "Source", folder: Path | None = None) -> "Served":
        """What a source names, or what lies in `folder`, ready to answer; raises BundleError and RunError."""
        from linnaea.delivery.serving.models import load_served

        place = Path(source.place) if folder is None else folder
        if Run.is_in(place):
            Run.open(place).require_finished()
        served = load_served(source, folder, trust=self.trust)
        return replace(served, classifier=placed(served.classifier, self.max_pixels, self.device))


@dataclass(frozen=True)
class Manner:
    """How a server answers: within which limits, in how many processes, whom, and what it logs, watches and files.

    `salvage` says that what is left of damaged images is answered, `review` is the folder that corrections go to.
    """

    serving: Serving
    hosting: Hosting
    access: Access
    audit_log: AuditLogging
    monitoring: Monitoring
    salvage: bool = False
    review: str | Path | None = None


def serve_until_stopped(
    models: Sequence[str | Path], address: tuple[str, int], loading: Loading, manner: Manner
) -> None:
    """Bind the address, load the models, and answer until the process is told to end; see `linnaea.serve`."""
    try:
        from linnaea.delivery.serving.connections import listener
        from linnaea.experiments.accounting import accounting
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from None
    from linnaea.delivery.serving.models import sources_of
    from linnaea.delivery.serving.workers import require_forks

    hosting = manner.hosting
    require_forks(hosting.workers)
    answer = _Answer(manner)
    sources = sources_of(models)
    with (
        listener(*address) as bound,
        accounting(manner.access, manner.audit_log, hosting.workers) as made,
        tempfile.TemporaryDirectory(prefix="linnaea-serve-") as folder,
    ):
        answer.run(bound, made, _fleet(sources, Path(folder), loading, hosting))


class _Answer:
    """What each process of a server does, from the options that are checked before an address is bound."""

    def __init__(self, manner: Manner) -> None:
        from linnaea.delivery.serving.limits import Limits
        from linnaea.experiments.watched_models import watch_as_asked

        self._manner, self._kept = manner, manner.audit_log.kept
        self._watch = watch_as_asked(manner.monitoring, self._kept)
        self._limits, self._reviewed = Limits(**manner.serving.named()), review_folder(manner.review)

    def run(self, bound: "socket.socket", made: "Callable[[int], Accounting]", fleet: "Fleet") -> None:
        """Answer on the socket, in this process or in several that it keeps, until it is told to end."""
        from linnaea.delivery.serving.connections import serve_on
        from linnaea.delivery.serving.fleet import preload
        from linnaea.delivery.serving.guard import is_loopback
        from linnaea.delivery.serving.metrics import worker_ended
        from linnaea.delivery.serving.workers import Workers, shared

        staged, limits, workers = fleet.staged(), self._limits, self._manner.hosting.workers
        local = is_loopback(bound.getsockname()[0])
        if workers == 1:
            serve_on(bound, self._application(made(0), fleet.crew(staged), (1, 1), local=local), limits)
            return

        def work(post: "Post") -> None:
            with closing(made(post.number)) as account:  # also where it is told to end before it answers
                crew, own = fleet.crew(post.staged, post), shared(bound)
                bound.close()  # told to end, nobody listens: a client that connects is refused, and not left to wait
                application = self._application(account, crew, (post.number, post.count), local=local)
                serve_on(own, application, limits)

        preload(staged.values())
        Workers(work, workers, staged, drain=limits.drain_time, bound=[bound], buried=worker_ended).run()

    def _application(self, account: "Accounting", crew: "Crew", place: tuple[int, int], *, local: bool) -> "FastAPI":
        """What answers in one process, the first of `place` of the second; `local`, this machine alone can ask it."""
        from linnaea.delivery.serving.application import make_application

        limits, salvage = self._limits, self._manner.salvage
        page, told = served_page(crew.models, limits, self._reviewed, self._kept)
        watched = self._watch(crew.models, *place)
        account.show(watched.watching)
        routers = [page, *crew.routers(limits), *account.routers, *watched.routers]
        observers = [*account.observers, crew.probes, *told, *watched.observers]
        application = make_application(crew.models, observers, limits, routers, salvage=salvage, explain=HeatMaps())
        return account.around(application, local=local)


def _fleet(sources: "Sequence[Source]", folder: Path, loading: Loading, hosting: Hosting) -> "Fleet":
    """What is to be served; what has to be copied or fetched lies in the folder."""
    from linnaea.delivery.serving.canary import read_canaries
    from linnaea.delivery.serving.checking import Demands
    from linnaea.delivery.serving.fleet import Fleet
    from linnaea.delivery.serving.staging import Stage

    return Fleet(
        sources,
        Stage(folder, copies=hosting.workers > 1, trust=loading.trust),
        loading,
        read_canaries(hosting.canary, [source.name for source in sources]),
        Demands(agreement=hosting.reload_agreement),
        hosting.admin,
        hosting.reload_every,
    )
