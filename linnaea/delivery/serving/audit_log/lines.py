"""A line of an audit log: one JSON object, which ends with the hash of the line before it and its own.

The own hash is SHA-256 over the bytes of the line without it: of `{"sequence":1,...,"previous":"00...","hash":"ab..."}`
those of `{"sequence":1,...,"previous":"00..."}`. It covers the text as it stands, not what it means, so that no byte
can change unseen. `previous` of the first line of a chain is 64 zeros.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

START = "0" * 64  # what the first line of a chain follows
FILE = re.compile(r"audit-(\d{6,})\.jsonl")
CHAIN = re.compile(r"worker-\d+")  # the folder of the chain of one of several workers
LONGEST = 16 * 2**20  # bytes of a line; that of 100,000 classes has about a megabyte
LOGIT_DECIMALS = 4
ANSWER_KEYS = ("request", "place", "key", "sha256", "model", "version", "digest", "answer", "logits", "looks")
_END = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_END_LENGTH = len(b',"hash":""}') + 64


@dataclass(frozen=True)
class Line:
    """A line that was read: the hash that it states, that of its bytes, and its content, None where it has no form.

    Who edits a line leaves one of the two hashes what it was; that one is what the next line follows.
    """

    stated: str
    actual: str
    content: dict[str, Any] | None

    @property
    def unchanged(self) -> bool:
        """Whether the line is what was written."""
        return self.stated == self.actual and self.content is not None


def file_name(number: int) -> str:
    """The name of a file of a chain, from 1."""
    return f"audit-{number:06}.jsonl"


def chain_name(worker: int) -> str:
    """The name of the folder of a worker's chain, from 1; "" of a single server, which is 0."""
    return f"worker-{worker}" if worker else ""


def line_of(sequence: int, previous: str, content: Mapping[str, Any]) -> tuple[bytes, str]:
    """A line with its end, as bytes, and its hash."""
    whole = {"sequence": sequence, **content, "previous": previous}
    try:
        text = _in_json(whole)
    except ValueError:  # a number that is not finite
        text = _in_json(_plain(whole))
    body = text.encode("utf-8", "backslashreplace")  # half a surrogate becomes what JSON writes for it
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + f',"hash":"{digest}"}}\n'.encode(), digest


def read_line(line: bytes) -> Line:
    """What a line without its end holds; nothing that it may hold raises."""
    body, end = line[:-_END_LENGTH] + b"}", _END.fullmatch(line[-_END_LENGTH:])
    actual = hashlib.sha256(body).hexdigest()
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    return Line(end[1].decode() if end else "", actual, content if _has_form(content) else None)


def told_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(time: str) -> float:
    """The seconds since 1970 of an ISO 8601 time; raises ValueError."""
    return datetime.fromisoformat(time).timestamp()


def _has_form(content: Any) -> bool:
    """Whether it is an answer or an event, as they are written."""
    if not isinstance(content, dict) or not isinstance(content.get("previous"), str):
        return False
    sequence = content.get("sequence")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 1:
        return False
    try:
        seconds_of(content["time"])
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return False
    return isinstance(content.get("event"), str) or all(key in content for key in ANSWER_KEYS)


def _in_json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    """JSON types; null for a number that is not finite, and the number within one of NumPy."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value) if not hasattr(value, "item") else value.item()
    if isinstance(number, float):
        return number if math.isfinite(number) else None
    return number
