"""The state between a right password and the code that is still due: sealed, and kept by whoever asks, not by us.

So it works after a restart and at another replica. It is bound to the user, the password in force, the channel and the
application, and good for five minutes. Showing it twice does no harm: a code is good once.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os import urandom
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.domain.decision import Channel
from control.domain.identity import User
from control.store import Sealer

LIFETIME = timedelta(minutes=5)
LONGEST_STATE = 2_000
_NONCE_BYTES = 12
_ABOUT = b"garrison challenge 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Whose password was right, where, and until when a code is waited for."""

    user: UUID
    username: str
    password: str
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
        sealed = nonce + self._cipher.encrypt(nonce, _dumped(pending), _ABOUT)
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
        return _loaded(plain)


def password_in_force(user: User) -> str:
    """What tells one password of the user from the next, and says nothing about either."""
    return sha256((user.password_hash or "").encode()).hexdigest()


def _dumped(pending: Pending) -> bytes:
    application = str(pending.application) if pending.application else ""
    expires = pending.expires.astimezone(UTC).isoformat()
    said = [str(pending.user), pending.username, pending.password, pending.channel, application, expires]
    return json.dumps(said).encode()


def _loaded(plain: bytes) -> Pending:
    user, username, password, channel, application, expires = json.loads(plain)
    return Pending(
        user=UUID(user),
        username=username,
        password=password,
        channel=Channel(channel),
        application=UUID(application) if application else None,
        expires=datetime.fromisoformat(expires),
    )
