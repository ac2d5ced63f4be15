"""The signature of a bundle, `signature.json`: whose keys stand for every byte of it.

It signs the address of the content, so that no file can be changed, added or taken away without voiding it. What
`linnaea check` writes is another thing, the sign-off: a person's word for a model, not a proof of where it comes from.
"""

import base64
import binascii
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.classifier.content import MEND, SIGNATURE, Content
from linnaea.errors import BundleError, RunError, UsageError
from linnaea.runtime.files import read_json, write_json

if TYPE_CHECKING:
    from linnaea.classifier.keys import PublicKey

FORMAT = "linnaea signature 1"
VARIABLE = "LINNAEA_TRUST"
MOST_SIGNATURES, LONGEST = 64, 1 << 22  # bytes of the file
FIELDS = {"format", "address", "signatures"}  # and files, of later ones
MOST_NAMED = 3  # files
LONGEST_LINE = 200  # letters of a name
Trust = str | Path | Sequence[str | Path] | None
Entry = Mapping[str, str]
logger = logging.getLogger("linnaea")
_TRUSTED: "ContextVar[tuple[PublicKey, ...]]" = ContextVar("trusted keys", default=())


def trusted_keys(trust: Trust = None) -> "tuple[PublicKey, ...]":
    """The public keys in these files; None: in those that LINNAEA_TRUST names, if any."""
    if trust is None and (within := _TRUSTED.get()):
        return within
    if trust is None:
        named = os.environ.get(VARIABLE, "")
        files = [Path(part) for part in named.split(os.pathsep) if part]
        if named and not files:
            raise UsageError(f"{VARIABLE} is {named!r}; expected files of public keys, or no such variable.")
    else:
        files = [Path(trust)] if isinstance(trust, str | Path) else [Path(one) for one in trust]
    if not files:
        return ()
    from linnaea.classifier.keys import read_public

    return tuple(read_public(file) for file in files)


@contextmanager
def trusting(trust: Trust) -> "Iterator[tuple[PublicKey, ...]]":
    """Let all that is loaded within be signed by one of these keys; None: by those that LINNAEA_TRUST names, if any."""
    before = _TRUSTED.set(trusted_keys(trust))
    try:
        yield _TRUSTED.get()
    finally:
        _TRUSTED.reset(before)


def sign(content: Content, file: Path, *, passphrase: str = "", signed_by: str = "", when: str) -> "PublicKey":
    """Sign a content with the private key in a file, beside the valid signatures of other keys; returns its public one.

    `signed_by` and `when` are signed with it; raises UsageError for a name that is not one line of letters. A signature
    beside it that is damaged or of another content is replaced, with a warning.
    """
    from linnaea.classifier.keys import PublicKey, read_private

    if not _is_line(signed_by):
        raise UsageError(
            f"{signed_by[:100]!r} is no name to sign with: expected one line, {LONGEST_LINE} letters or less."
        )
    private = read_private(file, passphrase)
    key = PublicKey(private.public_key().public_bytes_raw())
    entry = {"key": _in_text(key.raw), "signed_by": signed_by, "signed": when}
    entry["signature"] = _in_text(private.sign(_message(content.address, entry)))
    known = [other for other in _kept(content) if other["key"] != entry["key"]]
    told = {"format": FORMAT, "address": content.address, "files": dict(content.files)}
    write_json(content.folder / SIGNATURE, {**told, "signatures": [*known, entry]})
    return key


def _kept(content: Content) -> list[Entry]:
    """The signatures beside a content that are valid; says why where there are others."""
    try:
        signers(content)
        return _entries(content)
    except BundleError as error:
        logger.warning(f"the signatures that were there are replaced: {error}")
        return []


def signers(content: Content) -> "list[tuple[PublicKey, Entry]]":
    """The keys that have signed this very content, with what they signed beside it; none where there is no signature.

    Raises BundleError where the file is damaged, or one of its signatures is not that of its key.
    """
    if not (content.folder / SIGNATURE).exists():
        return []
    from linnaea.classifier.keys import PublicKey

    if told := void(content):
        raise BundleError(told)
    found = []
    for entry in _entries(content):
        key = PublicKey(_bytes_of(entry["key"]))
        if not key.has_signed(_message(content.address, entry), _bytes_of(entry["signature"])):
            raise BundleError(f"{content.folder / SIGNATURE}: a signature is not that of its key: {MEND}.")
        found.append((key, entry))
    return found


def require_signed(content: Content, trusted: "Sequence[PublicKey]") -> "PublicKey":
    """The first trusted key that has signed this content; raises BundleError where none has."""
    names = ", ".join(key.name for key in trusted)
    if not (content.folder / SIGNATURE).exists():
        raise BundleError(f"{content.folder} is not signed: expected the signature of {names}; see `linnaea sign`.")
    by = [key.raw for key, _ in signers(content)]
    for key in trusted:
        if key.raw in by:
            return key
    raise BundleError(f"{content.folder} is signed by none of the trusted keys: expected the signature of {names}.")


def void(content: Content) -> str:
    """Why the signature beside a content does not speak of it; nothing where it does, or there is none."""
    file = content.folder / SIGNATURE
    if not file.exists():
        return ""
    told = _read(file)
    if told["address"] == content.address:
        return ""
    return (
        f"{file} is the signature of another content, {str(told['address'])[:100]!r}: {_changes(content, told)}. Take "
        "the original bundle, or sign this one."
    )


def _changes(content: Content, told: Mapping[str, Any]) -> str:
    """What became of the files since they were signed, by the hashes beside the address, where they belong to it."""
    signed = told.get("files")
    whole = isinstance(signed, dict) and all(isinstance(one, str) for one in signed.values())
    if not whole or Content(content.folder, signed).address != told["address"]:  # type: ignore[arg-type]  # a mapping
        return "a file was changed, added or taken away since"
    before, now = dict(signed or {}), content.files
    named = {
        "changed": sorted(name for name in before.keys() & now.keys() if before[name] != now[name]),
        "added": sorted(now.keys() - before.keys()),
        "taken away": sorted(before.keys() - now.keys()),
    }
    return f"{', '.join(_listed(names, what) for what, names in named.items() if names)} since"


def _listed(names: Sequence[str], what: str) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(map(ascii, names[:MOST_NAMED]))}{more} {'was' if len(names) == 1 else 'were'} {what}"


def signature_text(content: Content) -> str | None:
    """The signature beside a content as it is written; None where there is none."""
    file = content.folder / SIGNATURE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def warn_of_void_signature(content: Content) -> None:
    """Say so where the signature beside a bundle speaks of another one, or is damaged."""
    try:
        told = void(content)
    except BundleError as error:
        told = str(error)
    if told:
        logger.warning(told)


def _entries(content: Content) -> list[Entry]:
    file = content.folder / SIGNATURE
    return list(_read(file)["signatures"]) if file.exists() else []


def _read(file: Path) -> dict[str, Any]:
    try:
        told = read_json(file) if file.is_file() and file.stat().st_size <= LONGEST else None
    except RunError as error:
        raise BundleError(str(error)) from None
    if not isinstance(told, dict) or told.get("format") != FORMAT or set(told) - {"files"} != FIELDS:
        raise BundleError(f"{file} is not of the format {FORMAT!r}: {MEND}, or sign it again.")
    entries, names = told["signatures"], {"key", "signed_by", "signed", "signature"}
    whole = isinstance(entries, list) and 0 < len(entries) <= MOST_SIGNATURES
    if not whole or not all(isinstance(one, dict) and set(one) == names for one in entries):
        raise BundleError(f"{file} holds no list of signatures: {MEND}, or sign it again.")
    if not all(isinstance(value, str) for one in entries for value in one.values()):
        raise BundleError(f"{file} holds what is no text: {MEND}, or sign it again.")
    if not all(map(_is_line, (value for one in entries for value in one.values()))):
        raise BundleError(f"{file} holds what is no line of text, with which it could say anything: {MEND}.")
    return told


def _is_line(text: str) -> bool:
    """Whether it can be shown among other lines and be told from them."""
    return len(text) <= LONGEST_LINE and text.isprintable()


def _message(address: str, entry: Entry) -> bytes:
    """What is signed: the address, by which key, by whom and when."""
    told = {"format": FORMAT, "address": address, **{name: entry[name] for name in ("key", "signed_by", "signed")}}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _in_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
