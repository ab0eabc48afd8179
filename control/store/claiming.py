"""Which run is done next: what people wait for first, then what has been due the longest.

Not one whose subject somebody works on, and not too many of one integration: an engine that hangs holds up whoever asks
it, and must not hold up what is to be done elsewhere. Checks go free, since they tell which engines are away.

Clocks go back, by days at times: a run that was handed in or begun later than now is due, and a lease that ends later
than any would is none.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.task import CAUSES, WAITING, TaskKind, TaskState
from control.store import tables
from control.store.base import Context

# Runs of one integration that go on at once, over all processes: of one that answers, and of one that is away.
MOST_THERE, MOST_AWAY = 4, 1
_FREE = TaskKind.CHECK
# Longer than any lease.
_TOO_LONG = timedelta(minutes=5)
_C = tables.task_runs.c
_OTHER = tables.task_runs.alias("other")
_IS_WORKED_ON = sa.exists().where(
    _OTHER.c.state == TaskState.RUNNING,
    sa.or_(
        _OTHER.c.subject == _C.subject,
        sa.and_(_OTHER.c.subject.is_(None), _C.subject.is_(None), _OTHER.c.kind == _C.kind),
    ),
)


def claimable(context: Context, kinds: Collection[TaskKind]) -> sa.Select[Any]:
    """The run of these kinds to be done next, if there is one; one that was left in the middle waits for nothing."""
    now = context.now
    is_over = sa.or_(_C.lease < now, _C.lease > now + _TOO_LONG)
    is_lost = sa.and_(_C.state == TaskState.RUNNING, is_over)
    is_time = sa.or_(_C.due <= now, _C.created > now, _C.started > now)
    is_due = sa.and_(_C.state.in_(WAITING), is_time, ~_IS_WORKED_ON, _has_room(context))
    wanted = sa.select(tables.task_runs).where(_C.kind.in_(kinds), sa.or_(is_lost, is_due))
    return wanted.order_by(_C.cause.in_(CAUSES), _C.due, _C.id).limit(1)


def _has_room(context: Context) -> sa.ColumnElement[bool]:
    running = _running(context)
    full = _full(running, _away(context)) if running else []
    if not full:
        return sa.true()
    return sa.or_(_C.kind == _FREE, _C.subject.is_(None), _integration(_C).not_in(full))


def _full(running: Mapping[UUID, int], away: Collection[UUID]) -> list[UUID]:
    """The integrations at which as many runs go on as may. Pure."""
    return [key for key, count in running.items() if count >= (MOST_AWAY if key in away else MOST_THERE)]


def _running(context: Context) -> Counter[UUID]:
    """How many runs go on at each integration."""
    rows = context.rows(
        sa.select(_integration(_OTHER.c).label("integration")).where(
            _OTHER.c.state == TaskState.RUNNING, _OTHER.c.kind != _FREE, _OTHER.c.subject.is_not(None)
        )
    )
    return Counter(row.integration for row in rows)


def _away(context: Context) -> frozenset[UUID]:
    health = tables.integration_health.c
    return frozenset(row.id for row in context.rows(sa.select(health.id).where(~health.healthy)))


def _integration(run: sa.ColumnCollection[str, Any]) -> sa.ColumnElement[UUID]:
    """Where a run is done: where its outpost is wanted, or lies though it isn't; or its subject itself."""
    outposts, lying = tables.outposts.c, tables.deployments.c
    wanted = sa.select(outposts.integration).where(outposts.id == run.subject).scalar_subquery()
    left = sa.select(lying.integration).where(lying.outpost == run.subject).order_by(lying.id).limit(1)
    return sa.func.coalesce(wanted, left.scalar_subquery(), run.subject)
