"""The files of a form, multipart/form-data, whose bytes are there already."""

from dataclasses import dataclass
from typing import Any

from linnaea.delivery.serving.limits import Limits, Refused

MOST_HEADERS, LONGEST_HEADER = 8, 4096
LONGEST_BOUNDARY = 200  # bytes; RFC 2046 has 70


class _Parts:
    """What the parser says, brought together: each part's headers and content."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.parts: list[tuple[dict[bytes, bytes], bytearray]] = []
        self.ended = False
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> Any:
        """By the names that python-multipart has for them."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1][1].extend(data[start:end]),
            "on_header_begin": self._begin_header,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self.most:
            raise Refused(413, f"the form has more than {self.most} parts (--max-images): send several requests.")
        self.parts.append(({}, bytearray()))

    def _begin_header(self) -> None:
        self._name.clear()
        self._value.clear()

    def _end_header(self) -> None:
        self.parts[-1][0][bytes(self._name).lower()] = bytes(self._value)

    def _end(self) -> None:
        self.ended = True


@dataclass(frozen=True)
class Part:
    """A part of a form: the name of its field, its content, and the name of the file where it is one."""

    name: str
    content: bytes
    file: str | None = None


def files_in(body: bytes, content_type: str, limits: Limits) -> list[tuple[str, bytes]]:
    """The names and contents of the files in a form; raises Refused for a form that is cut off, or not one of files."""
    parts = parts_in(body, content_type, limits.max_images)
    for part in parts:
        if part.file is None:
            raise Refused(400, f"the form has a field {part.name[:60]!r} that is no file: send images as files only.")
    return [(part.file or "", part.content) for part in parts]


def parts_in(body: bytes, content_type: str, most: int) -> list[Part]:
    """The parts of a form, at most so many; raises Refused for a form that is cut off, or none."""
    try:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header
    except ImportError:
        from linnaea.errors import MissingExtraError

        raise MissingExtraError("python-multipart", "serve") from None

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise Refused(400, "the form has no boundary in its Content-Type: let the client's library write that header.")
    found = _Parts(most)
    parser = MultipartParser(boundary, found.callbacks(), max_header_count=MOST_HEADERS, max_header_size=LONGEST_HEADER)
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"the form cannot be read ({' '.join(str(error).split())[:120]}).") from None
    if not found.ended:
        raise Refused(400, "the form is cut off: its last boundary is missing.")
    parts = []
    for headers, content in found.parts:
        told = parse_options_header(headers.get(b"content-disposition", b""))[1]
        name, file = told.get(b"name", b"").decode(errors="replace"), told.get(b"filename")
        parts.append(Part(name, bytes(content), None if file is None else file.decode(errors="replace")))
    return parts
