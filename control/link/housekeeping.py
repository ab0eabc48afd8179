"""What has to be done now and then: dropping what has run out, renewing certificates, rotating tokens by schedule."""

import asyncio
import logging
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError

from control.auth import app_passwords, lockout
from control.domain.security import Authority
from control.fleet.authority import drop_retired, ensure_authority
from control.fleet.rotation import keep_rotating
from control.link.credentials import ServerCredentials
from control.link.revisions import Revisions
from control.link.roster import Roster
from control.store import SYSTEM, Store

EVERY_SECONDS = 3600.0

log = logging.getLogger("control.link")


async def keep_house(store: Store, revisions: Revisions, roster: Roster, credentials: ServerCredentials) -> NoReturn:
    """Each hour, for ever."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await clean_up(store, revisions, roster, credentials)


async def clean_up(store: Store, revisions: Revisions, roster: Roster, credentials: ServerCredentials) -> None:
    """Once; what fails now is tried again with the next."""
    try:
        if credentials.renew(await asyncio.to_thread(authorities, store)):
            log.info("the link has a new certificate")
        await asyncio.to_thread(_drop_expired, store)
        await asyncio.to_thread(_rotate_tokens, store)
        await roster.forget()
        # Revocations that ran out are gone now; outposts may forget them too.
        revisions.refresh()
    except SQLAlchemyError as error:
        log.warning("housekeeping failed", extra={"reason": type(error).__name__})


def authorities(store: Store) -> list[Authority]:
    """The authorities of the link, one of them fit to sign."""
    with store.write(SYSTEM) as unit:
        drop_retired(unit)
        ensure_authority(unit)
        return unit.authorities.all()


def _drop_expired(store: Store) -> None:
    with store.write(SYSTEM) as unit:
        unit.sign_ins.drop_expired()
        unit.codes.drop_expired()
        unit.revocations.drop_expired()
        unit.directory.trim()
        lockout.clean_up(unit)
        app_passwords.clean_up(unit)


def _rotate_tokens(store: Store) -> None:
    with store.write(SYSTEM) as unit:
        keep_rotating(unit)
