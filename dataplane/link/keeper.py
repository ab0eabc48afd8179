"""Keeps the client certificate: enrols when there is none, when it is refused or doubted, and before it ends.

A better one may be to be had sooner, of a newer token: it is fetched while the present one goes on being used.

When enrolment fails, a certificate that is still good goes on being used: the link may be up while control's web
is not.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from dataplane.link.backoff import Backoff, Pace
from dataplane.link.enrol import Enrolled, EnrolmentFailed, skew_warning
from dataplane.link.target import Credentials
from dataplane.link.world import World

# Without a stable minute, so that its window only grows until a renewal succeeds.
_RENEWAL_PACE = Pace(first=5.0, longest=300.0)
_LONGEST_NAP = 60.0
log = logging.getLogger("dataplane.link.enrol")


class Keeper:
    """Holds the credentials in use. `failures` counts by reason; `skew` is control's clock minus ours.

    `ahead` is control's clock minus our monotonic one, None while this process hasn't enrolled.
    """

    def __init__(
        self, enrol: Callable[[], Awaitable[Enrolled]], world: World, credentials: Credentials | None = None
    ) -> None:
        self._enrol = enrol
        self._world = world
        self._refused = False
        self._doubted = False
        self._hurried = asyncio.Event()
        self._wanted = ""
        self.credentials = credentials
        self.failures: Counter[str] = Counter()
        self.skew = 0.0
        self.ahead: float | None = None

    @property
    def refused(self) -> bool:
        """Whether the link has refused the credentials in use."""
        return self._refused

    def distrust(self) -> None:
        """The link refused the certificate: enrol, or don't connect."""
        self._refused = True

    def doubt(self) -> None:
        """The link may have moved or have a new CA: enrol if that is possible, before the next connection."""
        self._doubted = True

    def hurry(self, token: str) -> None:
        """The certificate is of a token that may go soon: have one of this, in a moment, though it isn't due."""
        self._wanted = token
        self._hurried.set()

    async def get(self) -> Credentials:
        """Credentials for a new connection. Raises EnrolmentFailed when there are none that could do."""
        usable = self._find_usable()
        if usable and not self._refused and not self._doubted and self._world.clock() < usable.renewal:
            return usable
        try:
            return await self._renew()
        except EnrolmentFailed as error:
            if usable is None or self._refused:
                raise
            log.warning("going on with the certificate at hand", extra={"reason": str(error)})
            return usable

    async def renewed(self) -> Credentials:
        """New credentials, once the present ones are due; tries until it has them."""
        backoff = Backoff(_RENEWAL_PACE, self._world.uniform)
        await self._until_due()
        if self._hurried.is_set():
            # All instances were told at the same moment.
            await self._world.sleep(backoff.wait_after(0.0))
        while True:
            try:
                return await self._renew()
            except EnrolmentFailed as error:
                log.warning("the client certificate can't be renewed yet", extra={"reason": str(error)})
                await self._world.sleep(backoff.wait_after(0.0))

    async def _until_due(self) -> None:
        # In naps, because the wall clock may be set while we sleep.
        while self.credentials and (left := self.credentials.renewal - self._world.clock()) > 0:
            if self._hurried.is_set():
                return
            await self._nap(min(left, _LONGEST_NAP))

    async def _nap(self, seconds: float) -> None:
        """Sleep, unless there is a hurry."""
        naps = [asyncio.ensure_future(each) for each in (self._world.sleep(seconds), self._hurried.wait())]
        try:
            await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for nap in naps:
                nap.cancel()

    async def _renew(self) -> Credentials:
        wanted = self._wanted
        try:
            enrolled = await self._enrol()
        except EnrolmentFailed as error:
            self.failures[error.failure] += 1
            raise
        self._refused = False
        self._doubted = False
        # A newer token may have come since this was asked for; where control refuses that one, once is enough.
        if self._wanted in (wanted, enrolled.credentials.token):
            self._hurried.clear()
        self.credentials = enrolled.credentials
        self.skew = enrolled.skew
        self.ahead = self._world.clock() + enrolled.skew - self._world.monotonic()
        self._tell(enrolled)
        return enrolled.credentials

    def _tell(self, enrolled: Enrolled) -> None:
        credentials = enrolled.credentials
        log.info("enrolled", extra={"outpost": credentials.name, "link": list(credentials.addresses)})
        warning = skew_warning(enrolled.skew, self._world.clock())
        if warning:
            log.warning(warning)

    def _find_usable(self) -> Credentials | None:
        held = self.credentials
        return held if held and self._world.clock() < held.expires else None
