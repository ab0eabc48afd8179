"""TCP's own look at whether the other end is still there (RFC 9293 3.8.4), for what may be silent for hours.

Who has gone without a word is found out after a minute. A listener's connections are looked after as it is (Linux).
"""

import socket

_OPTIONS = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""Seconds of silence until the first question, and between two; how many in vain."""


def keep_asking(sock: socket.socket) -> None:
    """From now on; nothing for other sockets than TCP's."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _OPTIONS:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
