"""The audit trail is kept for so long and then forgotten, a few events at a time: whoever writes waits for few of them.

Its own task, each hour, on every replica; what one has dropped the others don't find any more.
"""

import asyncio
import logging
from datetime import timedelta
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from control.store import SYSTEM, Store

EVERY_SECONDS = 3600.0
# At a time: some hundredths of a second with a million events. Others write in the pauses, SQLite's too, who look anew
# each tenth of a second.
BATCH, PAUSE_SECONDS = 500, 0.1

log = logging.getLogger("control.link")


async def keep_short(store: Store, kept: timedelta | None) -> NoReturn:
    """Each hour, for ever; `kept` is None where everything is kept."""
    while True:
        if kept is not None:
            await shorten(store, kept)
        await asyncio.sleep(EVERY_SECONDS)


async def shorten(store: Store, kept: timedelta, batch: int = BATCH, pause: float = PAUSE_SECONDS) -> None:
    """Drop all that is older; what fails now is tried again with the next."""
    dropped = 0
    try:
        while count := await asyncio.to_thread(_drop, store, kept, batch):
            dropped += count
            await asyncio.sleep(pause)
    except SQLAlchemyError as error:
        log.warning("old audit events could not be dropped", extra={"reason": type(error).__name__})
    if dropped:
        log.info("old audit events were dropped", extra={"count": dropped})


def _drop(store: Store, kept: timedelta, batch: int) -> int:
    with store.write(SYSTEM) as unit:
        return unit.audit.drop_older(unit.now - kept, batch)
