"""What a server takes at most, and how long it waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from linnaea.delivery.serving.limits import Limits
from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in
from linnaea.runtime.arguments import require_one_of

SECONDS = checks.between(0.05, 86_400, 30)


def known_formats(name: str, given: Any) -> None:
    """Raise UsageError for what is no format of `predict`."""
    from linnaea.data.images.opening import FORMATS

    for one in [given] if isinstance(given, str) else given:
        require_one_of(FORMATS, name, one)


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Hosting(Options):
    """How many processes answer, and how the versions of models follow each other."""

    title = "Models and workers"

    workers: Annotated[int, Option("Processes that answer on the one port.", checks.at_least(1, "process"))] = 1
    canary: Annotated[
        Sequence[str],
        Option(
            "Share of clients that the second version of a model answers, as 0.05 or NAME=0.05. May be repeated.",
            repeated=True,
        ),
    ] = ()
    reload_every: Annotated[
        float | None,
        Option(
            "Seconds between two looks at whether folders or tags hold something new. Default: only when told.",
            checks.between(0.1, 86_400, 60),
        ),
    ] = None
    reload_agreement: Annotated[
        float,
        Option("Share of the last images that a new version must give the same label.", checks.between(0, 1, 0.5)),
    ] = 0.5
    admin: Annotated[
        Sequence[str],
        Option(
            "Name of an API key that may reload from anywhere; others only from this machine. May be repeated.",
            repeated=True,
        ),
    ] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Serving(Options):
    """The limits of a server, as in `linnaea.delivery.serving.limits.Limits`: bytes, numbers and seconds."""

    title = "Limits"

    max_body: Annotated[int, Option("Bytes that the body of a request may have.", checks.at_least(1, "byte"))] = (
        Limits.max_body
    )
    max_header: Annotated[int, Option("Bytes that its header may have.", checks.at_least(1024, "bytes"))] = (
        Limits.max_header
    )
    max_images: Annotated[int, Option("Images that a request may have.", checks.at_least(1, "image"))] = (
        Limits.max_images
    )
    json_depth: Annotated[int, Option("Levels that JSON may be nested.", checks.between(1, 500, 32))] = (
        Limits.json_depth
    )
    max_queue: Annotated[
        int, Option("Images that may wait for their answer; beyond, requests get 503.", checks.at_least(1, "image"))
    ] = Limits.max_queue
    max_requests: Annotated[
        int,
        Option("Requests that may be read or answered at a time; beyond, they get 503.", checks.at_least(1, "request")),
    ] = Limits.max_requests
    max_connections: Annotated[
        int, Option("Connections that may be open; beyond, they get 503.", checks.at_least(1, "connection"))
    ] = Limits.max_connections
    header_time: Annotated[float, Option("Seconds in which the header of a request must arrive.", SECONDS)] = (
        Limits.header_time
    )
    body_time: Annotated[float, Option("Seconds in which its body must arrive.", SECONDS)] = Limits.body_time
    answer_time: Annotated[float, Option("Seconds in which it must be answered.", SECONDS)] = Limits.answer_time
    idle_time: Annotated[float, Option("Seconds after which an idle connection is closed.", SECONDS)] = Limits.idle_time
    drain_time: Annotated[
        float, Option("Seconds in which accepted requests are answered when the server is stopped.", SECONDS)
    ] = Limits.drain_time
    formats: Annotated[
        Sequence[str],
        Option(
            "Formats that are read, told by content, separated by commas, such as JPEG,PNG. Default: all of predict.",
            known_formats,
            read=names_in,
        ),
    ] = Limits.formats
    batch: Annotated[int, Option("Images that the model is given at once, at most.", checks.at_least(1, "image"))] = (
        Limits.batch
    )
    decoders: Annotated[
        int | None, Option("Threads that decode images. Default: as many as there are cores.", checks.at_least(1))
    ] = Limits.decoders
    max_review: Annotated[
        int,
        Option("Images that the review folder may hold; beyond, corrections are refused.", checks.at_least(1, "image")),
    ] = Limits.max_review
