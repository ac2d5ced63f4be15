"""Ed25519 keys (RFC 8032) in PEM files: the private one signs, offline; the public one says whose signature it is."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import MissingExtraError, UsageError
from linnaea.runtime.reading import read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LONGEST = 1 << 16  # bytes of a file with a key
PUBLIC = ".pub"


@dataclass(frozen=True)
class PublicKey:
    """A public key by its 32 bytes, and what it is called: the file that it was read from."""

    raw: bytes
    name: str = ""

    @property
    def fingerprint(self) -> str:
        """What people compare by eye: 32 digits of the SHA-256 of the key."""
        return hashlib.sha256(self.raw).hexdigest()[:32]

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature of a message was made with the private key of this one."""
        from cryptography.exceptions import InvalidSignature

        try:
            _ed25519().Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def make_key(file: Path, passphrase: str = "") -> PublicKey:
    """Write a new private key into `file`, for its owner alone, and the public one beside it as `<file>.pub`.

    With a passphrase, the private key is encrypted by it. Raises UsageError where one of the two files is there.
    """
    private = _ed25519().Ed25519PrivateKey.generate()
    for each in (file, public_file(file)):
        if each.exists():
            raise UsageError(f"{each} already exists: a key is never written over; choose another name.")
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_new(file, _private_pem(private, passphrase), 0o600)
    _write_new(public_file(file), _public_pem(private.public_key()), 0o644)
    return PublicKey(private.public_key().public_bytes_raw(), str(public_file(file)))


def public_file(file: Path) -> Path:
    """Where the public key of a private one lies."""
    return file.with_name(f"{file.name}{PUBLIC}")


def read_private(file: Path, passphrase: str = "") -> "Ed25519PrivateKey":
    """The private key in a file; raises UsageError for any other file, a wrong passphrase, and one that others read."""
    ed25519, content = _ed25519(), _content_of(file)
    if b"PUBLIC KEY" in content:
        beside = f", {file.with_suffix('')}" if file.suffix == PUBLIC else ""
        raise UsageError(f"{file} is a public key, which others trust: sign with the private one{beside}.")
    _require_own(file)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, passphrase.encode() or None)
    except TypeError:
        told = "is protected by a passphrase: put it into LINNAEA_PASSPHRASE, or type it when asked"
        raise UsageError(
            f"{file} {told if not passphrase else 'is protected by no passphrase: leave it out'}."
        ) from None
    except ValueError as error:
        wrong = "the passphrase is wrong, or the file is damaged" if passphrase else str(error).partition("\n")[0]
        raise UsageError(f"{file} cannot be read as a private key ({wrong}): make one with --new-key.") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{file} is a key of another kind than Ed25519: make one with --new-key.")
    private: Ed25519PrivateKey = key
    return private


def is_protected(file: Path) -> bool:
    """Whether a passphrase is needed for the private key in a file."""
    return b"ENCRYPTED" in _content_of(file)


def read_public(file: Path) -> PublicKey:
    """The public key in a file; raises UsageError for any other file, also that of a private key."""
    ed25519, content = _ed25519(), _content_of(file)
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in content:
        raise UsageError(
            f"{file} is a private key: trust its public one, {public_file(file)}, and keep this to yourself."
        )
    try:
        key = load_pem_public_key(content)
    except ValueError as error:
        told = str(error).partition("\n")[0]
        raise UsageError(
            f"{file} cannot be read as a public key ({told}): expected a .pub file of --new-key."
        ) from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{file} is a key of another kind than Ed25519: expected a .pub file of --new-key.")
    return PublicKey(key.public_bytes_raw(), str(file))


def _content_of(file: Path) -> bytes:
    try:
        return read_regular(file, LONGEST)
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror or error}): expected a file with a key.") from None


def _require_own(file: Path) -> None:
    """Raise UsageError where others than the owner may read a private key."""
    if sys.platform != "win32" and file.is_file() and file.stat().st_mode & 0o077:
        raise UsageError(f"{file} may be read by others than its owner: run `chmod 600 {file}`, or make a new key.")


def _write_new(file: Path, content: bytes, mode: int) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)


def _private_pem(key: "Ed25519PrivateKey", passphrase: str) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    closed = forms.BestAvailableEncryption(passphrase.encode()) if passphrase else forms.NoEncryption()
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, closed)


def _public_pem(key: "Ed25519PublicKey") -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    return key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise MissingExtraError("cryptography", "registry") from None
    return ed25519
