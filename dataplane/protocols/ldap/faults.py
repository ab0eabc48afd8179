"""Requests that can be answered although they are wrong.

RFC 4511 section 4.1.1 tells two kinds of faults apart: where tags, lengths or the envelope are wrong, the session ends
with a notice of disconnection (`PeerError`); "otherwise" the operation is answered with protocolError (`Unfit`).
"""

from dataplane.protocols.ldap.messages import ResultCode
from dataplane.sansio import PeerError


class Unfit(PeerError):
    """The encoding is sound, what it holds is not. `limit` names the limit that was passed, where it was one."""

    def __init__(self, reason: str, *, code: ResultCode = ResultCode.PROTOCOL_ERROR, limit: str | None = None) -> None:
        super().__init__(code, reason)
        self.limit = limit


class TooLong(PeerError):
    """A message longer than the connection may send; nothing of it was kept."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(ResultCode.PROTOCOL_ERROR, f"a message of {size} bytes, at most {limit} are taken")


class Crowded(PeerError):
    """All connections together have sent more of messages that aren't finished than is kept."""

    def __init__(self) -> None:
        super().__init__(ResultCode.BUSY, "too much is waiting for the end of its message")
