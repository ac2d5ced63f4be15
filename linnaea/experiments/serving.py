"""A server from the folders of its models to its end."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import Classifier
from linnaea.classifier.signature import Trust
from linnaea.errors import MissingExtraError
from linnaea.experiments.heat_maps import HeatMaps
from linnaea.options import Serving


def serve_until_stopped(
    models: Sequence[str | Path | Classifier],
    address: tuple[str, int],
    serving: Serving,
    *,
    salvage: bool = False,
    max_pixels: int | None = None,
    device: str = "auto",
    trust: Trust = None,
) -> None:
    """Bind the address, load the models, and answer until the process is told to end; see `linnaea.serve`."""
    try:
        from linnaea.delivery.serving.application import make_application
        from linnaea.delivery.serving.connections import listener, serve_on
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from None
    from linnaea.delivery.serving.limits import Limits
    from linnaea.experiments.served_models import served_models

    limits = Limits(**serving.named())
    with listener(*address) as bound:
        served = served_models(models, max_pixels=max_pixels, device=device, trust=trust)
        application = make_application(served, (), limits, salvage=salvage, explain=HeatMaps())
        serve_on(bound, application, limits)
