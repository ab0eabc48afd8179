"""Keeps the outpost connected to control: which address, how long to wait, when to enrol anew.

The supervisor runs one Watcher for as long as the outpost lives. When a stream breaks the outpost serves on from
what it holds; here it is only decided when to call again.
"""

import logging
from dataclasses import dataclass

from dataplane.link.backoff import Backoff
from dataplane.link.enrol import EnrolmentFailed
from dataplane.link.stream import Context, LinkLost, Stream, Trust
from dataplane.link.target import Credentials

# Control may have moved or have a new CA: ask it where the link is after so many rounds in vain.
_ROUNDS_BEFORE_DOUBT = 3
# Reasons that are remembered as told; an outpost with few addresses has few.
_MOST_TOLD = 32
log = logging.getLogger("dataplane.link")


@dataclass(slots=True, kw_only=True)
class LinkStatus:
    """Where the link is, for metrics and health. `last_error` is empty while all is well.

    `unsupported`: control has said that it does not serve this version of the outpost.
    """

    connected: bool = False
    last_error: str = ""
    unsupported: bool = False
    connections: int = 0
    losses: int = 0


class Watcher:
    """Connects, serves and reconnects. The Receiver's `connected` must set `status.connected` by `arrived`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._vain = 0
        self._worked = ""
        self._doubted = ""
        self._told: set[str] = set()
        self._stream: Stream | None = None
        self._stood = False
        self._leaving = False
        self.status = LinkStatus()

    async def run(self) -> None:
        """Never returns by itself."""
        world = self._context.world
        backoff = Backoff(self._context.timing.pace, world.uniform)
        while True:
            lasted = await self._round()
            wait = backoff.wait_refused() if self.status.unsupported else backoff.wait_after(lasted)
            log.info("calling control again", extra={"in_seconds": round(wait, 2)})
            await world.sleep(wait)

    def arrived(self) -> None:
        """A stream stands."""
        self.status.connected = True
        self.status.last_error = ""
        self.status.unsupported = False
        self.status.connections += 1
        self._vain = 0
        self._doubted = ""
        self._told.clear()

    def tell_news(self) -> None:
        """Have control know at once how this instance is."""
        self._context.news.set()

    async def farewell(self) -> None:
        """End the stream, if there is one, once control has all that was said on it; to be called last."""
        self._leaving = True
        if self._stream:
            await self._stream.farewell()

    async def _round(self) -> float:
        """Try every address until one serves, first the one that did the last time; for how long it did."""
        try:
            credentials = await self._context.keeper.get()
        except EnrolmentFailed as error:
            self._note(str(error))
            return 0.0
        self._stood = False
        for address in sorted(credentials.addresses, key=lambda each: each != self._worked):
            lasted = await self._serve(credentials, address)
            if lasted:
                return lasted
        if not self._stood:
            self._count_in_vain()
        return 0.0

    async def _serve(self, credentials: Credentials, address: str) -> float:
        """Serve over a stream and its successors; for how long all of them stood."""
        lasted = 0.0
        stream: Stream | None = Stream(self._context, credentials, address)
        while stream:
            self._stream = stream
            try:
                await stream.serve()
            except LinkLost as error:
                self._lost(error, credentials)
            finally:
                lasted += stream.lasted
                self._stood |= stream.stood
                self._stream = None
                await stream.close()
            if stream.lasted:
                self._worked = stream.address
            stream = stream.successor
        return lasted

    def _lost(self, error: LinkLost, credentials: Credentials) -> None:
        if self._leaving:
            return
        self.status.unsupported = error.unsupported
        match error.trust:
            case Trust.REFUSED:
                self._context.keeper.distrust()
            case Trust.DOUBTED:
                self._doubt(credentials.authority)
            case Trust.UNTOUCHED:
                pass
        if self.status.connected:
            self.status.losses += 1
        self.status.connected = False
        self._note(str(error))

    def _doubt(self, authority: str) -> None:
        """Have control asked, once: if its CA is the same still, then it is a stranger who answers there."""
        if authority != self._doubted:
            self._doubted = authority
            self._context.keeper.doubt()

    def _count_in_vain(self) -> None:
        self._vain += 1
        if self._vain >= _ROUNDS_BEFORE_DOUBT:
            self._vain = 0
            self._context.keeper.doubt()

    def _note(self, reason: str) -> None:
        # The same reason again and again is not news; each address has its own.
        level = logging.DEBUG if reason in self._told else logging.WARNING
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(reason)
        self.status.last_error = reason
        log.log(level, "no link to control", extra={"reason": reason})
