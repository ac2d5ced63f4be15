"""API keys: who may ask, by a secret that is shown once and kept only as a hash."""

import base64
import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linnaea.errors import RunError, UsageError
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.files import read_json, write_json

PREFIX = "linnaea_"  # lets scanners for secrets that were published find one
SECRET_BYTES = 32
LONGEST = 200  # letters of what is taken for a key at all
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
LOOKED_EVERY = 1.0  # seconds between two looks at whether the file has changed
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Key:
    """A key as it is kept: its name, its salt and hash in hexadecimal digits, and when it was made and expires, UTC.

    The hash is a plain SHA-256. Slow hashes such as argon2 make guessing dear, which passwords need because people
    choose them; a secret of 256 random bits cannot be guessed at any speed, and each request has to be quick. The salt
    keeps two files from telling that they hold the same key.
    """

    name: str
    salt: str
    hash: str
    made: str
    expires: str | None = None

    def fits(self, secret: str) -> bool:
        """Whether this is its secret, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(_hash(self.salt, secret), self.hash)

    def is_over(self, now: float) -> bool:
        """Whether it has expired, at a time in seconds since 1970."""
        return self.expires is not None and datetime.fromisoformat(self.expires).timestamp() <= now


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with its secret, which nothing holds afterwards; without one it was taken out."""

    name: str
    file: Path
    secret: str = ""
    expires: str | None = None

    def __str__(self) -> str:
        if not self.secret:
            return f"The key {self.name} was taken out of {self.file}: servers refuse it from now on."
        until = f" until {self.expires}" if self.expires else ""
        return f"{self.secret}\nThis is the key {self.name}, good{until or ' for ever'}; it is shown only this once."

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "file": str(self.file), "secret": self.secret, "expires": self.expires}


def make_key(file: Path, name: str, lasting: float | None = None) -> NewKey:
    """Make a key that lasts so many seconds, None for ever, and add it to the file, which is made if need be.

    Raises UsageError for what can be no name, and one that is there already.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} can be no name of a key: expected at most 64 letters, digits and _ . @ -")
    keys = read_keys(file) if file.exists() else ()
    if any(key.name == name for key in keys):
        raise UsageError(f"{file} has a key {name}: take it out first (--revoke), or give the new one another name.")
    secret, salt, now = PREFIX + secrets.token_urlsafe(SECRET_BYTES), secrets.token_hex(16), time.time()
    expires = None if lasting is None else _told(now + lasting)
    _write(file, [*keys, Key(name, salt, _hash(salt, secret), _told(now), expires)])
    return NewKey(name, file, secret, expires)


def revoke_key(file: Path, name: str) -> NewKey:
    """Take a key out of the file; raises UsageError where there is none of this name."""
    keys = read_keys(file)
    kept = [key for key in keys if key.name != name]
    if len(kept) == len(keys):
        raise UsageError(f"{file} has no key {name!r}: it has {', '.join(key.name for key in keys) or 'none'}.")
    _write(file, kept)
    return NewKey(name, file)


def read_keys(file: Path) -> tuple[Key, ...]:
    """The keys in a file; raises UsageError where it is none of keys."""
    try:
        rows = read_json(file)["keys"]
        keys = tuple(Key(**row) for row in rows)
        for key in keys:
            key.is_over(0.0)
            if not re.fullmatch("[0-9a-f]{64}", key.hash) or not NAME.fullmatch(key.name):
                raise ValueError(f"{key.name!r} is no key")
    except (RunError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{file} cannot be read as a file of keys ({reason_of(error)}): make one with "
            f"`linnaea key NAME --file {file}`."
        ) from None
    if len({key.name for key in keys}) < len(keys):
        raise UsageError(f"{file} has two keys of one name: take one out.")
    return keys


class Keys:
    """The keys of a server, read again when their file has changed: a key that is taken out is refused within a second.

    A file that cannot be read any more changes nothing, and is said.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._keys = file, read_keys(file)
        if not self._keys:
            raise UsageError(f"{file} has no key: make one with `linnaea key NAME --file {file}`.")
        self._stamp, self._looked, self._lock = _stamp_of(file), time.monotonic(), threading.Lock()

    def holder_of(self, secret: str) -> Key | None:
        """The key with this secret; None where there is none. All are compared, whichever it is."""
        self._look()
        if not secret or len(secret) > LONGEST:
            return None
        fitting = [key for key in self._keys if key.fits(secret)]
        return fitting[0] if fitting else None

    def _look(self) -> None:
        if time.monotonic() - self._looked < LOOKED_EVERY:
            return
        with self._lock:
            self._looked, stamp = time.monotonic(), _stamp_of(self._file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._keys = read_keys(self._file)
            except UsageError as error:
                logger.error(f"The keys stay what they were: {error}")


def secret_in(headers: Iterable[tuple[bytes, bytes]], *, basic: bool = False) -> str:
    """The secret in `Authorization: Bearer` or `X-API-Key`; "" where there is none, or where two differ.

    With `basic` also the password of `Authorization: Basic`, for which a browser asks whoever opens a page.
    """
    found = set()
    for name, value in headers:
        text = value.decode("latin-1").strip()
        scheme, _, rest = text.partition(" ")
        if name.lower() == b"x-api-key":
            found.add(text)
        elif name.lower() == b"authorization" and scheme.lower() == "bearer":
            found.add(rest.strip())
        elif name.lower() == b"authorization" and scheme.lower() == "basic" and basic:
            with suppress(ValueError):
                found.add(base64.b64decode(rest, validate=True).decode("latin-1").partition(":")[2])
    return found.pop() if len(found) == 1 else ""


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _stamp_of(file: Path) -> tuple[int, int, int]:
    """What tells that a file was written; zeros where it is gone."""
    try:
        about = file.stat()
    except OSError:
        return (0, 0, 0)
    return (about.st_mtime_ns, about.st_size, about.st_ino)


def _write(file: Path, keys: Iterable[Key]) -> None:
    rows: list[Mapping[str, Any]] = [asdict(key) for key in keys]
    write_json(file, {"keys": rows})
    os.chmod(file, 0o600)  # noqa: PTH101  nobody else need know who has a key
