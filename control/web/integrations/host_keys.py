"""SSH host keys as people compare them: the type, and the fingerprint as `ssh-keygen -l` and ssh itself print it."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A host key for people."""

    type: str
    fingerprint: str


def find_host_key(text: str) -> HostKey | None:
    """What `type base64` (RFC 4253 section 6.6, as in known_hosts) is called; None where there is no such key."""
    kind, _, encoded = text.partition(" ")
    try:
        blob = b64decode(encoded, validate=True)
    except ValueError:
        return None
    if not blob:
        return None
    digest = b64encode(sha256(blob).digest()).decode().rstrip("=")
    return HostKey(type=kind.removeprefix("ssh-").removeprefix("ecdsa-sha2-"), fingerprint=f"SHA256:{digest}")
