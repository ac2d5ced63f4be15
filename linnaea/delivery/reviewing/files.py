"""The files of the page of review, and the style that it shares with other pages."""

from functools import cache
from pathlib import Path

from linnaea.delivery.pages import PARTS, contents, policy

OWN = Path(__file__).parent / "page"
POLICY = policy(images="'self' data:")


@cache
def files() -> dict[str, tuple[bytes, str]]:
    """Content and kind of each file by its name."""
    return contents([PARTS / "style.css", *sorted(OWN.iterdir())])
