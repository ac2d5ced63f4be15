"""A server from the folders of its models to its end."""

import tempfile
from collections.abc import Sequence
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
    from linnaea.delivery.serving.fleet import Fleet
    from linnaea.delivery.serving.models import Served, Source
    from linnaea.delivery.serving.post import Post


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


def serve_until_stopped(
    models: Sequence[str | Path],
    address: tuple[str, int],
    serving: Serving,
    loading: Loading,
    hosting: Hosting = Hosting(),
    monitoring: Monitoring = Monitoring(),
    *,
    accounts: tuple[Access, AuditLogging] = (Access(), AuditLogging()),
    salvage: bool = False,
    review: str | Path | None = None,
) -> None:
    """Bind the address, load the models, and answer until the process is told to end; see `linnaea.serve`."""
    try:
        from linnaea.delivery.serving.application import make_application
        from linnaea.delivery.serving.connections import listener, serve_on
        from linnaea.delivery.serving.metrics import worker_ended
        from linnaea.experiments.accounting import accounting
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from None
    from linnaea.delivery.serving.fleet import preload
    from linnaea.delivery.serving.limits import Limits
    from linnaea.delivery.serving.models import sources_of
    from linnaea.delivery.serving.workers import Workers, require_forks, shared
    from linnaea.experiments.watched_models import watch_as_asked

    require_forks(hosting.workers)
    watch = watch_as_asked(monitoring, accounts[1].kept)
    limits, sources, reviewed = Limits(**serving.named()), sources_of(models), review_folder(review)
    with (
        listener(*address) as bound,
        accounting(*accounts, hosting.workers) as made,
        tempfile.TemporaryDirectory(prefix="linnaea-serve-") as folder,
    ):
        fleet = _fleet(sources, Path(folder), loading, hosting)
        staged = fleet.staged()

        def answer(post: "Post | None" = None) -> None:
            """In the one process, or in each of several."""
            account = made(0 if post is None else post.number)
            crew = fleet.crew(staged if post is None else post.staged, post)
            page, told = served_page(crew.models, limits, reviewed, accounts[1].kept)
            watched = watch(crew.models, *((1, 1) if post is None else (post.number, post.count)))
            account.show(watched.watching)
            routers = [page, *crew.routers(limits), *account.routers, *watched.routers]
            observers = [*account.observers, crew.probes, *told, *watched.observers]
            application = make_application(crew.models, observers, limits, routers, salvage=salvage, explain=HeatMaps())
            serve_on(bound if post is None else shared(bound), account.around(application), limits)

        if hosting.workers == 1:
            answer()
            return
        preload(staged.values())
        drain = limits.drain_time
        Workers(answer, hosting.workers, staged, drain=drain, bound=[bound], buried=worker_ended).run()


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
