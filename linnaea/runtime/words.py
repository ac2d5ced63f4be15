"""Numbers with their words, in plain text."""


def counted(count: int, word: str, plural: str = "") -> str:
    """A count with its words in the right number: `1 file is`, `3 files are`, `3 images`."""
    return f"{count:,} {in_number(count, word, plural)}"


def in_number(count: float, word: str, plural: str = "") -> str:
    """The words alone, in the number of a count."""
    return word if count == 1 else plural or f"{word}s"
