"""Whether there is anybody at the link, for those who are about to sign in: better told now than after the password.

It opens a connection, at most every two seconds and not while calls are answered anyhow, and sees whether it is closed
at once, as by a balancer who has nobody behind: control itself waits for us to speak. Somebody who listens need not
answer; who gets that far is told later.
"""

import socket
from collections.abc import Callable, Iterable

KEPT_SECONDS = 2.0
CONNECT_SECONDS = 1.0
CLOSED_WITHIN = 0.1


class Lookout:
    """What is known of it; `seen` tells it what calls found out."""

    __slots__ = ("_looked", "_monotonic", "_outage")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._outage: str | None = None
        self._looked = -KEPT_SECONDS

    def seen(self) -> None:
        """Control has answered."""
        self._note(None)

    def find_outage(self, addresses: Iterable[str]) -> str | None:
        """Why nobody can be reached, None where somebody can."""
        if self._monotonic() - self._looked >= KEPT_SECONDS:
            # Whoever comes while we look goes by what was known before.
            self._note(self._outage)
            self._note(_find_outage(addresses))
        return self._outage

    def _note(self, outage: str | None) -> None:
        self._outage = outage
        self._looked = self._monotonic()


def _find_outage(addresses: Iterable[str]) -> str | None:
    reasons = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as connection:
                _expect_silence(connection)
        except OSError as error:
            reasons.append(f"{address}: {error.strerror or error}")
        else:
            return None
    return "; ".join(reasons)


def _expect_silence(connection: socket.socket) -> None:
    """Raises OSError where it is closed."""
    connection.settimeout(CLOSED_WITHIN)
    try:
        said = connection.recv(1)
    except TimeoutError:
        return
    if not said:
        raise ConnectionAbortedError("closed at once")
