"""Errors by blame: `PeerError` means that they broke the protocol; any other exception is a bug of ours."""


class PeerError(Exception):
    """The peer broke the protocol. `code` is the wire's own reply code (HTTP status, LDAP result code)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
