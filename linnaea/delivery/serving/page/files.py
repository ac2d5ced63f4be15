"""The files of the page: its own, and those that it shares with the page of an export."""

from functools import cache
from pathlib import Path

from linnaea.delivery.pages import PARTS, contents, policy

OWN = Path(__file__).parent
INDEX = "index.html"
POLICY = policy(images="'self' blob: data:")


@cache
def files() -> dict[str, tuple[bytes, str]]:
    """Content and kind of each file by its name."""
    return contents(path for folder in (PARTS, OWN) for path in sorted(folder.iterdir()))
