"""What the bytes of an image file say of its wholeness: checksums, ends, and sizes, told without decoding a pixel.

Decoders are lenient: they fill what a file lacks with grey or black and say nothing. What may follow a file's end, such
as a camera's preview, is none of our business. This file imports nothing but the standard library, because it travels
beside an exported model.
"""

import re
import struct
import zlib
from collections.abc import Iterator

NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # a stuffed 0, a restart and a fill byte are no markers
END_OF_IMAGE, START_OF_SCAN = 0xD9, 0xDA
ALONE = (0x01, 0xD8)  # markers without a segment
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
MOST_SCANS = 100  # each is a pass over the whole image; encoders make 4 to 20
ZEROS = 128  # bytes: a disk or a download leaves at least a sector of them
FILLER = b"\x5b\xa4" * 2048
CUT = "cut off before its end"


def damage_in(content: bytes, form: str) -> str:
    """What is wrong with the file of this format, as far as its bytes tell; "" where nothing is.

    Raises ValueError for a JPEG of so many scans that it was made to keep a decoder busy.
    """
    check = {"PNG": _in_png, "JPEG": _in_jpeg, "MPO": _in_jpeg, "WEBP": _in_webp}.get(form)
    return check(content) if check else ""


def _in_png(content: bytes) -> str:
    """Each critical chunk has a CRC; the last one is IEND (PNG specification, third edition, section 5)."""
    view, place = memoryview(content), 8
    while place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if end > len(content):
            return CUT
        critical = name[0] & 0x20 == 0
        if critical and zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return f"wrong checksum in its {name.decode('latin1')} chunk"
        if name == b"IEND":
            return ""
        place = end
    return CUT


def _in_jpeg(content: bytes) -> str:
    """Every component in a scan, every coefficient to its last bit, and an end (ITU-T T.81, annexes B and G)."""
    scans, progressive, known = 0, False, dict[int, list[bool]]()
    for code, start, end in _segments(content):
        if code in FRAMES:
            progressive = code in PROGRESSIVE
            known = {number: [False] * 64 for number in content[start + 6 : end : 3]}
        elif code == START_OF_SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise ValueError(f"more than {MOST_SCANS} scans")
            named, (first, last, precision) = content[start + 1 : end - 3 : 2], content[end - 3 : end]
            for number in known.keys() & set(named):
                if not progressive:
                    first, last, precision = 0, 63, 0
                known[number][first : last + 1] = [precision & 15 == 0] * (last + 1 - first)
            if not progressive and all(map(all, known.values())):  # the usual: one scan, and then the end
                return "" if content.rfind(b"\xff\xd9", end) >= 0 else CUT
        elif code == END_OF_IMAGE:
            return "" if all(map(all, known.values())) else "its last scans are missing"
    return CUT


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker of a JPEG up to its end, with where its segment begins, after its length, and ends."""
    place = 2
    while found := NEXT_MARKER.search(content, place):
        code, place = content[found.end() - 1], found.end()
        if code == END_OF_IMAGE:
            yield code, place, place
            return
        if code not in ALONE:
            end = place + int.from_bytes(content[place : place + 2], "big")
            if end > len(content) or end < place + 2:
                return
            yield code, place + 2, end
            place = end


def filled_up(content: bytes) -> bytes:
    """A JPEG with more coded data before its end: the same image if it is whole, another if some was missing."""
    ends = [place - 2 for code, place, _ in _segments(content) if code == END_OF_IMAGE]
    return content[: ends[0]] + FILLER + content[ends[0] :] if ends else content


def _in_webp(content: bytes) -> str:
    if 8 + int.from_bytes(content[4:8], "little") > len(content) + 1:  # some count a byte of padding and leave it out
        return CUT
    return ""


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Width and height as the header has them, before libwebp makes room for so many pixels (RFC 9649)."""
    kind, body = content[12:16], content[20:30]
    if kind == b"VP8X" and len(body) == 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(body) == 10:
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None


def webp_ends_in_zeros(content: bytes) -> bool:
    """Whether the coded image ends in so many zeros as only a flat image needs, or one whose end was lost."""
    place = 12
    while place + 8 <= len(content):
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return ends_in_zeros(content, place + 8, length, ZEROS)
        place += 8 + length + length % 2
    return False


def ends_in_zeros(content: bytes, start: int, length: int, most: int) -> bool:
    """Whether a part of the bytes ends in `most` zeros."""
    return length > most and content[start + length - most : start + length] == bytes(most)
