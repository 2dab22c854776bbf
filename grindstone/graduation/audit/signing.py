"""Checkpoints: the chain's end signed with an ed25519 key, for those who keep the key elsewhere.

    <home>/audit/checkpoints/000042.json

A signature over the end covers every event before it, since each names its predecessor.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, PositiveInt, ValidationError

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.errors import InputError
from grindstone.files import claim
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.event import AuditError, AuditEvent
from grindstone.records import utc_now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


class Checkpoint(Frozen):
    """A signed statement that the chain ended so at a time."""

    sequence: PositiveInt
    digest: str
    at: AwareDatetime
    signature: str = ""

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical_json(self.model_copy(update={"signature": ""})).encode()

    def file(self) -> bytes:
        """Return the one spelling its file may have."""
        return canonical_json(self).encode() + b"\n"


def sign_end(chain: Chain, private_key: Path) -> Checkpoint | None:
    """Sign the chain's end; None when there is no event, or its end is signed already.

    Raises:
        InputError: The key cannot be used.
    """
    events = chain.events()
    if not events:
        return None
    last = events[-1]
    path = chain.folder / "checkpoints" / last.name
    if path.exists():
        return None
    unsigned = Checkpoint(sequence=last.sequence, digest=last.digest, at=utc_now())
    signature = base64.b64encode(private_key_of(private_key).sign(unsigned.message())).decode()
    signed = unsigned.model_copy(update={"signature": signature})
    return signed if chain.keep(path, signed.file()) else None


def check_checkpoints(folder: Path, events: Sequence[AuditEvent], public_key: Path | None) -> int:
    """Return the number of the last event a checkpoint covers; 0 when none does.

    Args:
        folder: The chain's.
        events: The chain's, each checked.
        public_key: When given, at least one checkpoint must exist, and each must be signed
            with its private half.

    Raises:
        AuditError: A checkpoint does not fit the chain or the key.
    """
    covered = 0
    key = public_key_of(public_key) if public_key is not None else None
    for path in sorted((folder / "checkpoints").glob("*.json")):
        content = path.read_bytes()
        try:
            point = Checkpoint.model_validate_json(content)
        except ValidationError as error:
            raise AuditError(f"{path}: was changed: it is no checkpoint any more") from error
        if point.file() != content or path.stem != f"{point.sequence:06d}":
            raise AuditError(f"{path}: was changed: it is not written as a checkpoint is")
        if point.sequence > len(events):
            raise AuditError(
                f"{folder / f'{len(events) + 1:06d}.json'}: is missing: the end was cut off; a "
                f"checkpoint covers event {point.sequence}"
            )
        if events[point.sequence - 1].digest != point.digest:
            raise AuditError(
                f"{folder / path.name}: is not the event that checkpoint {path.name} covers"
            )
        if key is not None:
            _check_signature(key, point, path)
        covered = max(covered, point.sequence)
    if key is not None and events and not covered:
        raise AuditError(f"{folder / 'checkpoints'}: holds no checkpoint; expected a signed one")
    return covered


def make_keys(private_key: Path) -> Path:
    """Write a new key pair, the public half beside it as `<name>.pub`; return that path.

    Raises:
        InputError: The file exists already.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    if not claim(private_key, pem):
        raise InputError(str(private_key), "exists already", "a new file")
    private_key.chmod(0o600)
    public = private_key.with_name(private_key.name + ".pub")
    claim(
        public,
        key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo),
    )
    return public


def sign_message(private_key: Path, message: bytes) -> tuple[str, str]:
    """Return an ed25519 signature and the public key it fits, both in base64.

    Raises:
        InputError: The key cannot be used.
    """
    key = private_key_of(private_key)
    public = key.public_key().public_bytes_raw()
    return base64.b64encode(key.sign(message)).decode(), base64.b64encode(public).decode()


def _check_signature(key: "Ed25519PublicKey", point: Checkpoint, path: Path) -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(point.signature, validate=True), point.message())
    except (InvalidSignature, ValueError) as error:
        raise AuditError(f"{path}: its signature is not the key's") from error


def private_key_of(path: Path) -> "Ed25519PrivateKey":
    """Read a private key.

    Raises:
        InputError: It is no ed25519 key in PEM.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(str(path), f"cannot be used: {error}", "an ed25519 key in PEM") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InputError(str(path), "is another kind of key", "an ed25519 key in PEM")
    return key


def public_key_of(path: Path) -> "Ed25519PublicKey":
    """Read a public key.

    Raises:
        InputError: It is no ed25519 key in PEM.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be used: {error}", "a public key in PEM") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise InputError(str(path), "is another kind of key", "an ed25519 public key in PEM")
    return key
