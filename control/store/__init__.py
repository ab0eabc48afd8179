"""The database: tables, one repository a noun, and the unit of work that binds them.

What leaves here are the frozen values of `control.domain`, never rows. Every write goes through
`Store.write`, which audits it, draws its consequences for sessions, numbers it and wakes the listeners.
"""

from control.store.crowds import Event
from control.store.engine import NotWriting, open_engine
from control.store.failures import DatabaseBusy, DatabaseUnavailable, DatabaseUnwritable
from control.store.sealing import Sealer, SealingError
from control.store.unit import SYSTEM, Actor, Store, Unit

__all__ = [
    "SYSTEM",
    "Actor",
    "DatabaseBusy",
    "DatabaseUnavailable",
    "DatabaseUnwritable",
    "Event",
    "NotWriting",
    "Sealer",
    "SealingError",
    "Store",
    "Unit",
    "open_engine",
]
