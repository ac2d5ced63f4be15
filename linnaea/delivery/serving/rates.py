"""How many requests a client may make: a bucket of tokens each, which fills at a steady rate."""

import ipaddress
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from linnaea.errors import UsageError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
MOST_CLIENTS = 10_000


class Rates:
    """Requests of each client, at `per_second` on average, and at most `burst` of them at once.

    A bucket is kept as the time when it will be full (the generic cell rate algorithm, ITU-T I.371): a number for each
    client, and none for one whose bucket is full. Of more than `most` clients those are forgotten who have asked least
    lately. Seconds are those of a clock that is never set.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        most: int = MOST_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval, self._depth, self._most, self._clock = 1 / per_second, burst / per_second, most, clock
        self._full: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str) -> float:
        """Take a token: 0; where there is none, nothing is taken, and these are the seconds until there is one."""
        with self._lock:
            now = self._clock()
            full = max(now, self._full.get(client, now)) + self._interval
            late = full - now - self._depth
            if late > 1e-9:
                return late
            self._full[client] = full
            self._full.move_to_end(client)
            while len(self._full) > self._most or (self._full and next(iter(self._full.values())) <= now):
                self._full.popitem(last=False)
            return 0.0

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._full)


def parse_rate(text: str) -> tuple[float, int]:
    """Requests per second and the burst in "10/s", "600/m" or "5000/h", where the burst is the number, 100 at most.

    "600/m,20" has a burst of 20. Raises UsageError for anything else.
    """
    found = re.fullmatch(r"(\d{1,9})/([smh])(?:,(\d{1,6}))?", str(text).strip())
    count = int(found[1]) if found else 0
    burst = int(found[3]) if found and found[3] else min(count, 100)
    if found is None or not count or not burst:
        raise UsageError(f"the rate is {text!r}; expected something like 10/s, 600/m or 600/m,20 (20 of them at once).")
    return count / UNITS[found[2]], burst


def client_of(address: str) -> str:
    """Whom an address belongs to: itself or, of IPv6, its first 64 bits, which one subscriber has all the rest of."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))
