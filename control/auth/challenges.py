"""The state between a right password and the code that is still due: sealed, and kept by whoever asks, not by us.

So it works after a restart and at another replica. It is bound to the user, the password in force, the channel and the
application, and good for five minutes. Showing it twice does no harm: a code is good once.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os import urandom
from struct import Struct
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.domain.decision import Channel
from control.domain.identity import User
from control.store import Sealer

LIFETIME = timedelta(minutes=5)
# RADIUS carries it in one attribute (RFC 2865 section 5.24).
LONGEST_STATE = 253
_NONCE_BYTES = 12
_PASSWORD_BYTES = 16
_ABOUT = b"garrison challenge 1"
# User, password, channel, application, microseconds since 1970.
_FIELDS = Struct(f">16s{_PASSWORD_BYTES}sB16sQ")
_CHANNELS = (Channel.BROWSER, Channel.HTTP, Channel.LDAP, Channel.RADIUS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOWHERE = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Whose password was right, which one that was, where, and until when a code is waited for."""

    user: UUID
    password: bytes = field(repr=False)
    channel: Channel
    application: UUID | None
    expires: datetime


class Challenges:
    """Seals and opens states with a key of the installation."""

    def __init__(self, sealer: Sealer) -> None:
        self._cipher = AESGCM(sealer.derive("challenges"))

    def seal(self, pending: Pending) -> str:
        """The state as text."""
        nonce = urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, _packed(pending), _ABOUT)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def find(self, state: str) -> Pending | None:
        """What the state says, if we sealed it; it may have run out."""
        if len(state) > LONGEST_STATE or not state.isascii():
            return None
        try:
            sealed = urlsafe_b64decode(state + "=" * (-len(state) % 4))
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _ABOUT)
        except (InvalidTag, ValueError):
            return None
        return _unpacked(plain)


def password_in_force(user: User) -> bytes:
    """What tells one password of the user from the next, and says nothing about either."""
    return sha256((user.password_hash or "").encode()).digest()[:_PASSWORD_BYTES]


def _packed(pending: Pending) -> bytes:
    application = (pending.application or _NOWHERE).bytes
    expires = (pending.expires - _EPOCH) // timedelta(microseconds=1)
    channel = _CHANNELS.index(pending.channel)
    return _FIELDS.pack(pending.user.bytes, pending.password, channel, application, expires)


def _unpacked(plain: bytes) -> Pending:
    user, password, channel, application, expires = _FIELDS.unpack(plain)
    return Pending(
        user=UUID(bytes=user),
        password=password,
        channel=_CHANNELS[channel],
        application=UUID(bytes=application) if application != _NOWHERE.bytes else None,
        expires=_EPOCH + timedelta(microseconds=expires),
    )
