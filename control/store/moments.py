"""When sessions were made and when they were ended, in the one order that counts: that of the transactions.

Clocks don't tell it: one may be set back, and two processes of control may have different ones. So the last moment that
was given out lies in the database, and no later unit gets an earlier one. While clocks agree a moment is simply the
time. Nothing else is dated so: a clock that once was a year ahead must not lend anything a year.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from control.store import tables
from control.store.base import Context

# What times survive on their way to an outpost and back.
STEP = timedelta(milliseconds=1)


class Moments:
    """The moments of one unit of work, which has to be a writing one."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of_session(self) -> datetime:
        """One that no revocation until now is later than."""
        return self._take(timedelta())

    def of_revocation(self) -> datetime:
        """One that is later than every session until now."""
        return self._take(STEP)

    def _take(self, after: timedelta) -> datetime:
        connection, now = self._context.connection, self._context.now
        last = connection.execute(sa.select(tables.revision.c.latest)).scalar_one()
        moment = now if last is None else max(now, last + after)
        if moment != last:
            connection.execute(sa.update(tables.revision).values(latest=moment))
        return moment
