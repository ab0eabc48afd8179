"""What the roster has to write, and its writing: a batch in one transaction. Blocking: for a thread.

Only link processes write instances, and of each only its holder: the one it called last, which may be another by now.
A batch that the database can't take for what is in it is halved until what it can't take is alone, and dropped: one
instance that says such things must not keep all others from being written.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError

from control.domain.errors import Invalid
from control.domain.outpost import Instance, InstanceEvent
from control.fleet.instances import forget_old
from control.store import SYSTEM, Store
from control.store.deployments import Held

Key = tuple[UUID, str]
log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes: `used` are tokens, `done` the wishes to drain that were carried out.

    `claimed` are instances that have called here since the last one, whoever held them before.
    """

    instances: tuple[Instance, ...]
    claimed: frozenset[Key]
    used: frozenset[UUID]
    done: frozenset[UUID]
    events: tuple[InstanceEvent, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that must be written; that a token was used goes along with the rest."""
        return not (self.instances or self.done or self.events)

    def halves(self) -> tuple["Batch", ...]:
        """The same as smaller batches; none where it can't be halved."""
        of_instances, of_events = (len(self.instances) + 1) // 2, len(self.events) // 2
        nothing: frozenset[UUID] = frozenset()
        if self.used or self.done:
            parts = (replace(self, instances=(), events=()), replace(self, used=nothing, done=nothing))
        else:
            first = replace(self, instances=self.instances[:of_instances], events=self.events[:of_events])
            parts = (first, replace(self, instances=self.instances[of_instances:], events=self.events[of_events:]))
        return () if self in parts else parts


class NotWritten(Exception):
    """The database doesn't take anything just now; these are still to be written."""

    def __init__(self, batches: tuple[Batch, ...], reason: str) -> None:
        super().__init__(reason)
        self.batches = batches


class Ledger:
    """The instances in the database, as this link process (`holder`) writes them."""

    def __init__(self, store: Store, holder: UUID) -> None:
        self._store = store
        self._holder = holder

    def load(self) -> dict[Key, Instance]:
        """What nobody holds."""
        with self._store.read() as unit:
            return {(each.outpost, each.uid): each for each in unit.instances.all() if each.holder is None}

    def write(self, batch: Batch) -> None:
        """Write what is ours of it. Raises NotWritten."""
        left = [batch]
        while left:
            some = left.pop()
            try:
                self._write(some)
            except (SQLAlchemyError, ValueError, OverflowError, Invalid) as error:
                if not _is_of_data(error):
                    raise NotWritten((*left, some), type(error).__name__) from error
                left += _apart(some, error)

    def _write(self, batch: Batch) -> None:
        with self._store.write(SYSTEM) as unit:
            for token in batch.used:
                unit.tokens.touch(token)
            outposts = unit.outposts.known({each.outpost for each in batch.instances + batch.events})
            held = unit.instances.held(outposts)
            elsewhere = {key for key, each in held.items() if each.holder not in {None, self._holder}} - batch.claimed
            unit.instances.save(_same(each, held) for each in batch.instances if _is_ours(each, outposts, elsewhere))
            unit.instance_events.record(each for each in batch.events if _is_ours(each, outposts, elsewhere))
            unit.drains.forget(batch.done)

    def forget(self) -> set[Key]:
        """Drop what is too old; which are left."""
        with self._store.write(SYSTEM) as unit:
            forget_old(unit)
            return {(each.outpost, each.uid) for each in unit.instances.all()}


def _is_of_data(error: Exception) -> bool:
    """Whether the database failed at what it was given, and would again; not at its own state."""
    match error:
        case DBAPIError():
            return isinstance(error, DataError)
        case StatementError() | ValueError() | OverflowError() | Invalid():
            # A value that doesn't even reach the database.
            return True
        case _:
            return False


def _apart(batch: Batch, error: Exception) -> tuple[Batch, ...]:
    """Smaller batches, of which only some have what the database can't take; none where that is found, and dropped."""
    halves = batch.halves()
    if not halves:
        rows: tuple[Instance | InstanceEvent, ...] = (*batch.instances, *batch.events)
        fields = {"instance": "".join(each.uid for each in rows), "reason": type(error).__name__}
        log.error("the database can't hold what an instance says, which is dropped", extra=fields)
    return halves


def _same(instance: Instance, held: Mapping[Key, Held]) -> Instance:
    """Under the id that another process may have given it."""
    known = held.get((instance.outpost, instance.uid))
    return replace(instance, id=known.id) if known is not None else instance


def _is_ours(of: Instance | InstanceEvent, outposts: Collection[UUID], elsewhere: Collection[Key]) -> bool:
    """Whether it is ours to write; what an older stream still says of an instance that others hold is not."""
    return of.outpost in outposts and (of.outpost, of.uid) not in elsewhere
