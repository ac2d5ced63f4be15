"""What a server takes at most of everything, and how it says no."""

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 2**20
UNREAD = (408, 413, 431)  # after which what is still coming is not read


@dataclass(frozen=True)
class Limits:
    """The limits of a server, all of which are on unless they are moved.

    Of a request: `max_body` and `max_header` bytes, `max_images`, `json_depth` levels of nesting; the seconds that its
    header and its body may take to arrive, and that its answer may take. Of the server: `max_connections`,
    `max_requests` that are being read or answered, `max_queue` images that wait for their answer; the seconds that a
    connection may be idle, and that requests have to end when it is stopped. `batch` is how many images the model is
    given at most at once, `decoders` how many threads decode (None: as many as there are cores). `max_review` is how
    many images a review folder may hold, beyond which no corrections are taken.
    """

    max_body: int = 20 * MIB
    max_images: int = 32
    max_queue: int = 128
    max_requests: int = 64
    max_connections: int = 256
    max_header: int = 16 * 1024
    header_time: float = 10.0
    body_time: float = 30.0
    answer_time: float = 30.0
    idle_time: float = 15.0
    drain_time: float = 30.0
    json_depth: int = 32
    batch: int = 32
    decoders: int | None = None
    formats: Sequence[str] = ()
    max_review: int = 10_000


class Refused(Exception):  # noqa: N818  it is an answer to a client, not a fault of ours
    """A request that is not answered with what it asked for: the status, and a sentence that says how to mend it.

    `retry_after` are the seconds after which it may be worth trying again.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's header says besides."""
        wait = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return {**wait, "connection": "close"} if self.status in UNREAD else wait
