"""What every protocol core shares: the shape of a session, the error for a peer's fault, a bounded cursor.

No I/O here, no clock, no randomness: bytes in, events out; messages in, bytes out.
"""

from dataplane.sansio.cursor import Cursor
from dataplane.sansio.errors import PeerError
from dataplane.sansio.session import Session

__all__ = ["Cursor", "PeerError", "Session"]
