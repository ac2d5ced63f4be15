"""The origins of other pages that may ask a server."""

import re

from linnaea.errors import UsageError

ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


def require_origins(name: str, given: object) -> None:
    """Raise UsageError for what is no exact origin of a page, such as https://photos.example."""
    for origin in given if isinstance(given, list | tuple) else [given]:
        if not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
            raise UsageError(
                f"{name} is {origin!r}; expected exact origins, such as https://photos.example, without a path; "
                "there is no word for all of them, since then every page could ask."
            )
