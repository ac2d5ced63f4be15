"""`key`: the API keys of a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option, checks
from linnaea.runtime.duration import parse_duration
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.delivery.serving.keys import NewKey


@VERBS.register(
    "key",
    title="Key",
    meaning="Make an API key for `linnaea serve --keys FILE`, shown once and kept as a hash, or take one out.",
    order=74,
)
def key(
    name: Annotated[str, Option("Name of the key, which logs show: whose it is.", metavar="NAME")],
    *,
    file: Annotated[str | Path, Option("File of the keys, which is made if need be.", read=Path)] = Path("keys.json"),
    expires: Annotated[
        str | float | None,
        Option("Time after which it is refused, such as 720h. Default: never.", checks.readable_by(parse_duration)),
    ] = None,
    revoke: Annotated[
        bool, Option("Take the key of this name out: servers that run refuse it within a second.")
    ] = False,
) -> "NewKey":
    """Make a key of 256 random bits, whose secret is returned and nowhere kept, or take one out of the file.

    Raises UsageError for a name that is there already or, with `revoke`, is not there, and for a file of another kind.
    """
    from linnaea.delivery.serving.keys import make_key, revoke_key

    return revoke_key(Path(file), name) if revoke else make_key(Path(file), name, parse_duration(expires))
