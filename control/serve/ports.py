"""Whether addresses are free, asked before anything starts: a child that can't listen would fail again and again."""

import socket
from collections.abc import Mapping
from contextlib import closing


class Taken(Exception):
    """Another process listens there, or the address isn't this machine's."""

    def __init__(self, option: str, address: str, reason: str) -> None:
        super().__init__(f"{option}: can't listen on {address} ({reason}); stop what listens there or name another")


def expect_free(wanted: Mapping[str, tuple[str, int]]) -> None:
    """Raise Taken for the first (host, port) that can't be listened on; an empty host is every address."""
    for option, (host, port) in wanted.items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with closing(socket.socket(family)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise Taken(option, f"{host}:{port}", error.strerror or "unusable") from error
