"""Text from file and class names made harmless where it is shown: on a terminal, and in Markdown."""

import re

# What acts instead of being seen: control characters, marks that turn the direction of writing around, letters without
# width, ends of lines and paragraphs, tags, and halves of surrogate pairs. Joiners (U+200C, U+200D) stay: they are part
# of words in many scripts.
ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
ACTING_BUT_LINES = re.compile(f"(?!\n){ACTING.pattern}")
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
MARKDOWN = re.compile(
    r"[\\`*_\[\]<>|~&$@]"  # emphasis, code, links, HTML, cells, mathematics, mentions
    r"|:(?=//)|(?<=\bwww)\.|(?<=\bWWW)\."  # addresses that become links by themselves
    r"|^[#+\-=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=^\d{3})[.)]"  # headings and lists
)


def neutral(text: str) -> str:
    """One line for a terminal: what would move the cursor, colour it, hide or reorder text is written out."""
    return ACTING.sub(_written_out, text)


def neutral_lines(text: str) -> str:
    """The same for a text of several lines, whose ends stay."""
    return ACTING_BUT_LINES.sub(_written_out, text)


def in_json(text: str) -> str:
    """JSON that says the same with what acts on a terminal escaped; its own line ends stay."""
    return ACTING_BUT_LINES.sub(lambda found: _pairs(found[0]), text)


def in_markdown(text: str) -> str:
    """One line of text in Markdown that shows what it says: no link, no heading, no HTML, no cell of a table."""
    return MARKDOWN.sub(lambda found: f"\\{found[0]}", neutral(text).strip())


def code(text: str) -> str:
    """One line of text as code in Markdown, whatever backticks are in it."""
    shown = neutral(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence, space = "`" * (longest + 1), " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _written_out(found: re.Match[str]) -> str:
    letter = found[0]
    number = ord(letter)
    return SHORT.get(letter) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")


def _pairs(letter: str) -> str:
    """A letter as JSON escapes it, in two halves beyond the first plane."""
    number = ord(letter)
    if number < 0x10000:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
