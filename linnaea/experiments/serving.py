"""A server from the folders of its models to its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.classifier.signature import Trust
from linnaea.errors import MissingExtraError
from linnaea.experiments.finished_run import placed
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.experiments.served_page import review_folder, served_page
from linnaea.options import Serving
from linnaea.run import Run

if TYPE_CHECKING:
    from linnaea.delivery.serving.models import Served, Source


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
    *,
    salvage: bool = False,
    review: str | Path | None = None,
) -> None:
    """Bind the address, load the models, and answer until the process is told to end; see `linnaea.serve`."""
    try:
        from linnaea.delivery.serving.application import make_application
        from linnaea.delivery.serving.connections import listener, serve_on
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from None
    from linnaea.delivery.serving.limits import Limits
    from linnaea.delivery.serving.models import Models, sources_of

    limits, sources, folder = Limits(**serving.named()), sources_of(models), review_folder(review)
    with listener(*address) as bound:
        served = Models([loading(source) for source in sources])
        page, observers = served_page(served, limits, folder)
        application = make_application(served, observers, limits, [page], salvage=salvage, explain=HeatMaps())
        serve_on(bound, application, limits)
