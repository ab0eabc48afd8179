"""What a proxy in front says first of a connection that it passes on: the PROXY protocol, before TLS or anything else.

It may be left out: a connection that begins otherwise is as it is.
"""

from dataplane.io.stream import SocketStream
from dataplane.sansio.proxyheader import Missing, Origin, read_origin


def find_source(stream: SocketStream) -> str | None:
    """The address of the client, None where nothing is said of it; the rest is left to be read.

    Raises PeerError for a header that is malformed, Expired and OSError.
    """
    taken = b""
    while True:
        data = stream.read()
        taken += data
        match read_origin(taken):
            case Origin(source=source, size=size):
                stream.begin_with(taken[size:])
                return source
            case Missing():
                stream.begin_with(taken)
                return None
            case None if not data:
                return None
