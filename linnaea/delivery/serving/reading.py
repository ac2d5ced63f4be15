"""From the body of a request to the images in it: whatever is sent, bounded, and told by content, never by name."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from linnaea.arrays import Images
from linnaea.data.images.opening import format_of
from linnaea.delivery.serving.limits import Limits, Refused
from linnaea.delivery.serving.multipart import files_in
from linnaea.errors import UnreadableImageError
from linnaea.runtime.neutral import neutral

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
ADDRESS = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]{1,20}://")
MOST_OPENED = 400_000  # lists and objects in a JSON text
SCANS = 100  # of a JPEG: each costs as much time as the whole image, whatever it holds
SCAN = b"\xff\xda"
LONGEST_NAME = 255
LINGER, LINGER_BYTES = 2.0, 64 * 2**20  # what is still read of a body that is too long, so that the client is answered


@dataclass(frozen=True)
class Given:
    """An image as it was sent: the bytes of a file, or `pixels` (S, S, C), and a `name` to know it by."""

    name: str
    content: bytes | None = None
    pixels: Images | None = None


def length_of(headers: Mapping[str, str], limits: Limits) -> int | None:
    """How long a body says that it is; raises Refused where that is longer than may be, or no number."""
    given = headers.get("content-length")
    if given is None:
        return None
    if not given.isascii() or not given.isdecimal():
        raise Refused(400, f"Content-Length is {given[:40]!r}; expected a number of bytes.")
    length = int(given[:20])
    if length > limits.max_body:
        raise too_long(limits)
    return length


def too_long(limits: Limits) -> Refused:
    """Of a body."""
    return Refused(
        413, f"the body is longer than {limits.max_body:,} bytes (--max-body): send smaller images, or fewer at a time."
    )


async def body_of(receive: Receive, limits: Limits) -> bytes:
    """The whole body; raises Refused where it is too long, too slow, or the client leaves before its end."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(limits.body_time):
            ended = await _read(receive, limits.max_body, parts)
    except TimeoutError:
        raise Refused(
            408, f"the body did not arrive within {limits.body_time:g} seconds (--body-time): send it faster."
        ) from None
    if sum(map(len, parts)) > limits.max_body:
        parts.clear()
        if not ended:
            await _drain(receive)
        raise too_long(limits)
    return b"".join(parts)


async def _drain(receive: Receive) -> None:
    """Read on for a moment what nobody will look at: a client that is still writing does not see its answer."""
    with suppress(TimeoutError, Refused):
        async with asyncio.timeout(LINGER):
            await _read(receive, LINGER_BYTES, None)


async def _read(receive: Receive, most: int, parts: list[bytes] | None) -> bool:
    """Read until the end, or more than `most` bytes; tells whether it was the end."""
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(499, "the client left before it had sent all.")
        part: bytes = message.get("body", b"")
        length += len(part)
        if parts is not None:
            parts.append(part)
        if not message.get("more_body", False):
            return True
        if length > most:
            return False


def images_in(body: bytes, headers: Mapping[str, str], limits: Limits) -> list[Given]:
    """The images of a body: a file as it is, a form with files, or JSON `{"images": [base64, ...]}`.

    Raises Refused where there are none or too many of them, and for what is none of these.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(
            415, "the body is compressed (Content-Encoding): send it as it is; images are compressed already."
        )
    kind = headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        images = [
            Given(name_of(name, place), content) for place, (name, content) in enumerate(files_in(body, kind, limits))
        ]
    elif plain == "application/json":
        images = images_in_json(body, limits)
    else:
        images = [Given("0", body)]
    if not images:
        raise Refused(400, "there is no image in the request: send one as the body, or files in a form.")
    require_count(len(images), limits)
    for image in images:
        if not image.content:
            raise Refused(400, f"image {image.name!r} is empty (0 bytes): send the bytes of an image file.")
    return images


def require_count(count: int, limits: Limits) -> None:
    """Raise Refused for more images than a request may have."""
    if count > limits.max_images:
        raise Refused(
            413, f"the request has {count} images; expected at most {limits.max_images} (--max-images): send several."
        )


def name_of(given: str, place: int) -> str:
    """What an image is called in its answer: as the client calls it, made harmless, else by its place."""
    return neutral(given[:LONGEST_NAME]) or str(place)


def images_in_json(body: bytes, limits: Limits) -> list[Given]:
    """The images of `{"images": ["base64", ...]}`."""
    content = json_in(body, limits)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise Refused(400, 'the JSON has no list of images: expected {"images": ["base64 of an image file", ...]}.')
    strange = [key for key in content if key != "images"]
    if strange:
        raise Refused(400, f"the JSON has a key {strange[0][:60]!r}; expected only images.")
    require_count(len(content["images"]), limits)
    return [Given(str(place), image_in_text(text, f"images[{place}]")) for place, text in enumerate(content["images"])]


def image_in_text(text: Any, where: str) -> bytes:
    """The bytes that base64 stands for; raises Refused for anything else, an address above all."""
    if not isinstance(text, str):
        raise Refused(400, f"{where} is no text; expected the base64 of an image file.")
    if ADDRESS.match(text):
        raise Refused(400, f"{where} is an address, and this server fetches nothing: send the image itself.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, f"{where} is not base64; expected that of an image file.") from None


def json_in(body: bytes, limits: Limits) -> Any:
    """What a JSON text says; raises Refused for what is none, nested too deeply, or made to fill the memory."""
    if body.count(b"[") + body.count(b"{") > MOST_OPENED:
        raise Refused(413, f"the JSON has more than {MOST_OPENED:,} lists and objects: send less at a time.")
    deep = Refused(400, f"the JSON is nested more than {limits.json_depth} levels deep (--json-depth).")
    try:
        content = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise deep from None
    except ValueError as error:  # that of bytes which are no text among them
        said = " ".join(str(error).split())[:120]
        raise Refused(400, f"the body is not JSON ({said}): expected what Content-Type says.") from None
    if _is_deeper(content, limits.json_depth):
        raise deep
    return content


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def _is_deeper(content: Any, most: int) -> bool:
    level = [content]
    for _ in range(most + 1):
        level = [
            below
            for one in level
            if isinstance(one, list | dict)
            for below in (one.values() if isinstance(one, dict) else one)
            if isinstance(below, list | dict)
        ]
        if not level:
            return False
    return True


def require_allowed(content: bytes, formats: Sequence[str]) -> None:
    """Raise UnreadableImageError for a format that is not among these (empty: all), told by content.

    Also for a JPEG that is made to keep a decoder busy.
    """
    found = format_of(content)
    if formats and found is not None and found not in formats:
        raise UnreadableImageError(f"{found} is none of the formats that are read here ({', '.join(formats)})")
    if found == "JPEG" and content.count(SCAN) > SCANS:
        raise UnreadableImageError(
            f"it has more than {SCANS} scans, which no camera writes and which take long to decode: save it again"
        )
