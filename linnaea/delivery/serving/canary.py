"""A canary: a share of what is asked of a model goes to another version of it, and a client stays with its own."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linnaea.errors import UsageError

CLIENT = "x-client-id"


@dataclass(frozen=True)
class Canary:
    """The share of clients, between 0 and 1, that the second version of a model answers."""

    share: float

    def takes(self, name: str, client: str) -> bool:
        """Whether a client is among them: always the same for the same one, whichever process is asked.

        A larger share takes those that a smaller one took, and others.
        """
        return place_of(name, client) < self.share


def place_of(name: str, client: str) -> float:
    """Where a client of a model stands between 0 and 1, as good as at random."""
    digest = hashlib.sha256(f"{len(name)} {name} {client}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def client_of(key: str | None, headers: Mapping[str, str], request: str) -> str:
    """Who asks, for a canary: the name of the key, what the header `x-client-id` says, or nobody but this request.

    The address is not asked: behind a proxy all clients have one.
    """
    return key or headers.get(CLIENT) or request


def read_canaries(given: Sequence[str], names: Sequence[str]) -> dict[str, Canary]:
    """The canaries of `SHARE`, where one model is served, or `NAME=SHARE`; raises UsageError for other words."""
    found: dict[str, Canary] = {}
    only = names[0] if len(set(names)) == 1 else ""
    for text in given:
        name, _, share = text.rpartition("=")
        meant = name or only
        if meant not in names:
            able = " or ".join(f"{each}=0.05" for each in dict.fromkeys(names))
            raise UsageError(f"the canary {text!r} names no model that is served: expected {able}.")
        if meant in found:
            raise UsageError(f"the canary of {meant!r} is given twice: give it once.")
        found[meant] = Canary(_share(text, share))
    return found


def _share(text: str, share: str) -> float:
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"the canary {text!r} has no share between 0 and 1: expected one such as 0.05.")
    return value
