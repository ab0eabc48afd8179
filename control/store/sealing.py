"""Secrets at rest: AES-256-GCM under a key derived per purpose, bound to the table, column and row it lies in.

A ciphertext moved to another place doesn't open. The installation's secret key comes from its settings.
"""

from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
TEXT, BYTES = b"s", b"b"


class SealingError(Exception):
    """A sealed value doesn't open: the secret key is another one, or the value was moved or damaged."""


class Sealer:
    """Seals and opens values of the database with the installation's secret key."""

    def __init__(self, secret_key: bytes) -> None:
        self._secret_key = secret_key
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, place: tuple[str, str, str], value: str | bytes) -> bytes:
        """Seal `value` for its place: table, column and row."""
        plain = TEXT + value.encode() if isinstance(value, str) else BYTES + value
        nonce = urandom(NONCE_BYTES)
        return nonce + self._cipher(place).encrypt(nonce, plain, _associated(place))

    def open(self, place: tuple[str, str, str], sealed: bytes) -> str | bytes:
        """The value sealed for that place. Raises SealingError."""
        try:
            nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            plain = self._cipher(place).decrypt(nonce, ciphertext, _associated(place))
        except (InvalidTag, ValueError):
            raise SealingError(f"{'.'.join(place)} can't be opened with this secret key") from None
        return plain[1:].decode() if plain[:1] == TEXT else plain[1:]

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose that is no table."""
        return HKDF(SHA256(), 32, salt=b"garrison", info=purpose.encode()).derive(self._secret_key)

    def _cipher(self, place: tuple[str, str, str]) -> AESGCM:
        purpose = f"store/{place[0]}/{place[1]}"
        if purpose not in self._ciphers:
            self._ciphers[purpose] = AESGCM(self.derive(purpose))
        return self._ciphers[purpose]


def _associated(place: tuple[str, str, str]) -> bytes:
    return "\x1f".join(place).encode()
