"""Who may ask a server, how often, and from which pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import checks
from linnaea.options.option import Option, Options


def _rate(text: Any) -> object:
    from linnaea.delivery.serving.rates import parse_rate

    return parse_rate(text)


def _origins(name: str, given: Any) -> None:
    from linnaea.delivery.serving.origins import require_origins

    require_origins(name, given)


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Access(Options):
    """Who may ask: whoever has a key of those in the file `keys`, made by `linnaea key`, or everybody.

    `rate` is how many requests a key, or an address where no keys are in use, may make, such as 600/m; with several
    workers each of them counts its own. `cors` are the origins of other pages that may ask.
    """

    title = "Access"

    keys: Annotated[
        str | Path | None, Option("File of API keys, made by `linnaea key`. Default: everybody may ask.", read=Path)
    ] = None
    rate: Annotated[
        str | None,
        Option(
            "Requests that a key, or else an address, may make, such as 10/s, 600/m or 600/m,20 (20 of them at once). "
            "Default: any number.",
            checks.readable_by(_rate),
        ),
    ] = None
    cors: Annotated[
        Sequence[str],
        Option(
            "Exact origin of other pages that may ask, such as https://photos.example. May be repeated. Default: none.",
            _origins,
            repeated=True,
        ),
    ] = ()
