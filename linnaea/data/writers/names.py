"""Names for files and folders that every system takes, each once in its folder."""

import re
import unicodedata
from collections import defaultdict

from linnaea.data.sources.trees import is_hidden

RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
STRANGE = re.compile(r'[<>:"/\\|?*#\x00-\x1f\x7f]')
MOST_LETTERS = 80


def safe(name: str) -> str:
    """The name without letters, ends and words that some system refuses or hides."""
    kept = STRANGE.sub("_", name)[:MOST_LETTERS].strip().rstrip(" .")
    return f"_{kept}" if not kept or is_hidden(kept) or RESERVED.match(kept) else kept


class Names:
    """Gives out names; two that a system might take for one, as it ignores case, get numbers."""

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = defaultdict(set)

    def give(self, folder: str, stem: str, suffix: str = "") -> str:
        """A name in a folder that has not been given out there."""
        taken, name, number = self._taken[_key(folder)], stem, 1
        while _key(name + suffix) in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(_key(name + suffix))
        return name + suffix


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
