"""What a server takes at most, and how long it waits."""

from dataclasses import dataclass
from typing import Annotated

from linnaea.delivery.serving.limits import Limits
from linnaea.options import checks
from linnaea.options.option import Option, Options

SECONDS = checks.between(0.05, 86_400, 30)


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
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
