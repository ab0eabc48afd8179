"""The body of an enrolment, parsed: untrusted bytes become a whole request or BadRequest, and nothing else."""

import binascii
import json
import re
from base64 import b64decode
from dataclasses import dataclass, field

from control.fleet.authority import PublicKey, requested_key

NONCE_BYTES = 32
MAX_CSR = 8192
LATEST_CLOCK = 1e12

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VERSION = re.compile(r"[ -~]{0,80}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


class BadRequest(Exception):
    """The body is no enrolment; says which field and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """What an outpost asks with. `key` is all that is taken of its signing request."""

    token_id: str
    instance: str
    type: str
    key: PublicKey
    nonce: bytes = field(repr=False)
    clock: float
    version: str


def parse_request(body: bytes) -> EnrolmentRequest:
    """The request in `body`. Raises BadRequest."""
    fields = _object(body)
    return EnrolmentRequest(
        token_id=_text(fields, "token_id", _FINGERPRINT, "64 hexadecimal digits"),
        instance=_text(fields, "instance", _UID, "up to 64 letters, digits, dots, dashes and underscores"),
        type=_text(fields, "type", _TYPE, "the type of an outpost"),
        key=_key(fields),
        nonce=_nonce(fields),
        clock=_clock(fields),
        version=_text(fields, "version", _VERSION, "up to 80 printable characters"),
    )


def _object(body: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadRequest("the body: expected a JSON object") from None
    if not isinstance(parsed, dict):
        raise BadRequest("the body: expected a JSON object")
    return parsed


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _text(fields: dict[str, object], name: str, form: re.Pattern[str], expected: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise BadRequest(f"{name}: expected {expected}")
    return value


def _key(fields: dict[str, object]) -> PublicKey:
    value = fields.get("csr")
    if not isinstance(value, str) or not value.isascii() or len(value) > MAX_CSR:
        raise BadRequest("csr: expected a PEM certificate signing request")
    try:
        return requested_key(value)
    except ValueError as error:
        raise BadRequest(f"csr: {error}") from None


def _nonce(fields: dict[str, object]) -> bytes:
    text = _text(fields, "nonce", _BASE64URL, "32 bytes as base64url")
    try:
        nonce = b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        nonce = b""
    if len(nonce) != NONCE_BYTES:
        raise BadRequest("nonce: expected 32 bytes as base64url")
    return nonce


def _clock(fields: dict[str, object]) -> float:
    value = fields.get("clock")
    # True is an int, 10**400 one that no float holds, and 1e999 is read as infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LATEST_CLOCK:
        raise BadRequest("clock: expected POSIX seconds")
    return float(value)
