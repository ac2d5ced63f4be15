"""The one reader of text that comes with data: drops a byte order mark, and names what is in another encoding."""

import codecs
from pathlib import Path

from linnaea.errors import DataError
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.reading import read_regular

MOST_BYTES = 256 * 2**20  # of a list, an annotation or a label
MOST_TABLE_BYTES = 2**31 - 1  # of a table, or of the annotations of a whole set
MARKS = (  # UTF-32 first, whose mark begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SHOWN = 12  # letters before and after a place that is wrong


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file; raises DataError for a pipe or a device, and for more bytes than can be meant."""
    try:
        return read_regular(path, most)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({reason_of(error)}).") from None


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file; raises DataError where `decoded` does."""
    return decoded(read_bytes(path, most), str(path))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without their ends."""
    return lines_of(read_text(path))


def lines_of(text: str) -> list[str]:
    """The lines of a text; unlike `str.splitlines` it ends them at line feeds and carriage returns only."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def decoded(content: bytes, where: str) -> str:
    """UTF-8 with or without a byte order mark, or UTF-16 and UTF-32 with one, as text without the mark.

    Raises DataError that names the line and the byte of what is none of these, how it reads as Windows-1252, and how
    the file is converted.
    """
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and _has_zero_bytes_between(content):
        raise DataError(f"{where} is UTF-16 text without a byte order mark: save it as UTF-8.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            raise DataError(_not_utf8(content, error.start, where)) from None
        raise DataError(f"{where} begins as {encoding.upper()} text and is cut off ({error.reason}).") from None


def as_utf8(content: bytes, where: str) -> bytes:
    """The same text as UTF-8 without a byte order mark; raises DataError where `decoded` does."""
    text = decoded(content, where)
    return content if not content.startswith(tuple(mark for mark, _ in MARKS)) else text.encode()


def _has_zero_bytes_between(content: bytes) -> bool:
    """Whether each letter has a zero byte beside it, as Latin letters have in UTF-16."""
    begin = content[:64]
    return len(begin) >= 4 and any(begin) and (not any(begin[::2]) or not any(begin[1::2]))


def _not_utf8(content: bytes, place: int, where: str) -> str:
    line = content.count(b"\n", 0, place) + 1
    start = content.rfind(b"\n", 0, place) + 1
    if b"\0" in content[:place]:
        return f"{where} is not a text file (byte {place + 1} of it cannot be part of one): expected UTF-8 text."
    around = content[max(start, place - SHOWN) : place + SHOWN].split(b"\n")[0].rstrip(b"\r")
    shown = around.decode("cp1252", "replace")
    return (
        f"{where}, line {line}: byte {place - start + 1} is {content[place]:#04x}, which is not UTF-8. As Windows-1252 "
        f"it would read {shown!r}: if that is correct, save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)."
    )
