"""Keys derived from the outpost's token: for the MACs of enrolment and for wrapping the state's key. Pure."""

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ENROLMENT = b"garrison enrol v1"
_STATE = b"garrison state v1"


def token_fingerprint(token: str) -> str:
    """Names a token without telling it; safe, because tokens are 256 random bits."""
    return hashlib.sha256(b"garrison token id\0" + token.encode()).hexdigest()


def outpost_key(token: str) -> bytes:
    """The key under which the outpost signs its request."""
    return _derive(token, _ENROLMENT, b"outpost")


def control_key(token: str) -> bytes:
    """The key under which control proves that it knows the token."""
    return _derive(token, _ENROLMENT, b"control")


def wrapping_key(token: str) -> bytes:
    """The key that wraps the random key of the state file."""
    return _derive(token, _STATE, b"wrap")


def _derive(token: str, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(token.encode())
