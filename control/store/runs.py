"""Runs of tasks: handed in, claimed by whoever works, and written by nobody but who holds them.

- A run is handed in by the transaction that is its cause, so neither is there without the other.
- A waiting run takes up what else of its kind and subject is handed in: work looks at what is wanted when it begins.
- One run of a subject is claimed at a time (`claiming` says which), for as long as its lease says; what `renew` and
  `end` write is written only while the claim counts, told by holder and attempt.
- Nothing here is a change of the configuration: nobody is woken, and no revision is taken.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from control.domain.task import (
    CAUSES,
    WAITING,
    Cause,
    RunFilter,
    TaskKind,
    TaskLine,
    TaskRun,
    TaskState,
)
from control.store import tables
from control.store.base import Repository
from control.store.claiming import claimable
from control.store.columns import holds
from control.store.identifiers import ordered_id

_C = tables.task_runs.c
_LINES = tables.task_lines
_OTHER = tables.task_runs.alias("other")
# These wait on as they are when a run of theirs failed and is to be tried again later.
_PATIENT = frozenset({Cause.SCHEDULE, Cause.EVENT})
# Of several causes of one run the gravest is told; a person's name is more than all of these.
_GRAVITY = {cause: place for place, cause in enumerate((Cause.SCHEDULE, Cause.START, Cause.EVENT, Cause.CHANGE))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A run that somebody holds: which attempt, and whether its end was asked for."""

    id: UUID
    attempt: int
    cancel_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run that is the claimer's from now on, and whether somebody else had left it in the middle."""

    run: TaskRun
    was_left: bool


class Runs(Repository[TaskRun]):
    """The queue and what became of it."""

    table = tables.task_runs
    entity = TaskRun
    kind = "task"
    order = "created"

    def submit(
        self, kind: TaskKind, cause: str, subject: UUID | None = None, name: str = "", due: datetime | None = None
    ) -> TaskRun:
        """Hand in; what is returned is the run that was waiting already, where there is one."""
        wanted = due or self.context.now
        waiting = self._one(sa.and_(_about(kind, subject), _C.state.in_(WAITING)))
        if waiting is not None:
            return self._taken_up(waiting, _fitting("cause", cause), wanted)
        run = TaskRun(
            id=ordered_id(self.context.now),
            kind=kind,
            subject=subject,
            name=_fitting("name", name),
            cause=_fitting("cause", cause),
            created=self.context.now,
            due=wanted,
        )
        self._insert(run)
        return run

    def page(self, wanted: RunFilter, start: int, count: int) -> tuple[list[TaskRun], int]:
        """So many of those wanted, the newest first, from a place on; and how many there are."""
        where = [*_matching(wanted)]
        statement = self._query().where(*where).order_by(_C.created.desc(), _C.id.desc()).offset(start).limit(count)
        total = self.context.connection.execute(sa.select(sa.func.count()).where(*where).select_from(self.table))
        return self._entities(self.context.rows(statement)), int(total.scalar_one())

    def states(self, wanted: RunFilter) -> dict[TaskState, int]:
        """How many of those wanted are in each state that any of them is in."""
        counts = sa.select(_C.state, sa.func.count().label("n")).where(*_matching(wanted)).group_by(_C.state)
        return {row.state: row.n for row in self.context.rows(counts)}

    def causes(self) -> list[str]:
        """Every cause that a run has, in order."""
        return [row[0] for row in self.context.rows(sa.select(_C.cause).distinct().order_by(_C.cause))]

    def failing(self, kinds: Collection[TaskKind], since: datetime) -> list[TaskRun]:
        """Of these kinds those that failed since then and of whose subject no later run has ended; the newest first."""
        failed = (_C.state == TaskState.FAILED, _C.finished >= since, _C.kind.in_(kinds), ~_HAS_ENDED_SINCE)
        return self._entities(self.context.rows(self._query().where(*failed).order_by(_C.finished.desc(), _C.id)))

    def latest(self, kind: TaskKind, subject: UUID | None) -> TaskRun | None:
        """The newest run of a kind about a subject, whatever became of it."""
        newest = self._query().where(_about(kind, subject)).order_by(_C.created.desc(), _C.id.desc()).limit(1)
        found = self._entities(self.context.rows(newest))
        return found[0] if found else None

    def latest_of(self, kinds: Collection[TaskKind]) -> dict[tuple[TaskKind, UUID | None], datetime]:
        """When the newest run of each of these kinds was handed in, by kind and subject; now where one still waits.

        What was handed in later than now, before a clock went back, doesn't count.
        """
        handed_in = sa.case((_C.state.in_(WAITING), sa.literal(self.context.now, _C.created.type)), else_=_C.created)
        newest = sa.select(_C.kind, _C.subject, sa.func.max(handed_in).label("newest")).where(
            _C.kind.in_(kinds), sa.or_(_C.created <= self.context.now, _C.state.in_(WAITING))
        )
        return {(row.kind, row.subject): row.newest for row in self.context.rows(newest.group_by(_C.kind, _C.subject))}

    def lines(self, run_id: UUID, after: UUID | None = None) -> list[TaskLine]:
        """What a run has said, in order; only what came after one of its lines where that is given."""
        later = (_LINES.c.id > after,) if after is not None else ()
        rows = self.context.rows(sa.select(_LINES).where(_LINES.c.run == run_id, *later).order_by(_LINES.c.id))
        return [TaskLine(**row._mapping) for row in rows]

    def ask_cancel(self, run: TaskRun) -> None:
        """End it: at once while it waits, as soon as it is safe to while it runs. What has ended stays as it is."""
        self._set(run.id, WAITING, state=TaskState.CANCELLED, finished=self.context.now, cancel_asked=True)
        self._set(run.id, {TaskState.RUNNING}, cancel_asked=True)

    def waiting(self) -> dict[TaskKind, int]:
        """How many of each kind wait."""
        counted = sa.select(_C.kind, sa.func.count().label("runs")).where(_C.state.in_(WAITING))
        return {row.kind: row.runs for row in self.context.rows(counted.group_by(_C.kind))}

    def overdue(self) -> timedelta:
        """For how long the run that waits the longest has been due."""
        oldest = self.context.rows(sa.select(sa.func.min(_C.due)).where(_C.state.in_(WAITING)))[0][0]
        return timedelta() if oldest is None else max(self.context.now - oldest, timedelta())

    def is_any_held(self) -> bool:
        """Whether somebody works on something."""
        held = sa.and_(_C.state == TaskState.RUNNING, _C.lease >= self.context.now)
        return bool(self.context.rows(sa.select(_C.id).where(held).limit(1)))

    def is_any_due(self, kinds: Collection[TaskKind]) -> bool:
        """Whether `claim` would find something."""
        return bool(self.context.rows(claimable(self.context, kinds)))

    def claim(self, kinds: Collection[TaskKind], holder: UUID, lease: timedelta) -> TaskRun | None:
        """The run of these kinds to be done next, which is the holder's from now on; None when there is none."""
        claimed = self.take(kinds, holder, lease)
        return claimed.run if claimed is not None else None

    def take(self, kinds: Collection[TaskKind], holder: UUID, lease: timedelta) -> Claimed | None:
        """The same, and whether it comes as the next attempt because the lease of the one before ran out."""
        found = self._entities(self.context.rows(claimable(self.context, kinds)))
        if not found:
            return None
        was_left = found[0].state is TaskState.RUNNING
        return Claimed(run=self._held(found[0], holder, lease), was_left=was_left)

    def held(self, holder: UUID) -> list[Held]:
        """What somebody holds just now."""
        mine = sa.select(_C.id, _C.attempt, _C.cancel_asked).where(_C.state == TaskState.RUNNING, _C.holder == holder)
        return [Held(id=row.id, attempt=row.attempt, cancel_asked=row.cancel_asked) for row in self.context.rows(mine)]

    def renew(self, run: TaskRun, lease: timedelta, lines: Iterable[TaskLine] = ()) -> bool:
        """Hold a run for longer, and write how far it is and what it says; False where it is somebody else's by now."""
        renewed = {"lease": self.context.now + lease, "done": run.done, "total": run.total}
        is_held = self._change(_is_held(run), renewed)
        if is_held:
            self._say(lines)
        return is_held

    def end(self, run: TaskRun, lines: Iterable[TaskLine] = ()) -> bool:
        """Let go of a run, as it says itself how; False where it is somebody else's by now.

        One that would wait again is over where its end was asked for.
        """
        now, is_over = self.context.now, run.state not in WAITING
        written = {"state": run.state, "due": run.due, "error": run.error, "values": dict(run.values)}
        written |= {"result": run.result, "done": run.done, "total": run.total, "holder": None, "lease": None}
        is_held = self._change(_is_held(run), {**written, "finished": now if is_over else None})
        if is_held:
            self._say(lines)
        if is_held and not is_over:
            is_asked = sa.and_(_C.id == run.id, _C.state.in_(WAITING), _C.cancel_asked)
            self._change(is_asked, {"state": TaskState.CANCELLED, "finished": now})
        return is_held

    def forget(self, than: datetime, most: int) -> int:
        """Forget runs that were over before this, at most so many; how many."""
        oldest = sa.select(_C.id).where(_C.finished < than).order_by(_C.finished).limit(most)
        return self.context.connection.execute(sa.delete(self.table).where(_C.id.in_(oldest))).rowcount

    def thin(self, kinds: Collection[TaskKind], kept: int, most: int) -> int:
        """Of such runs that went well and nobody asked for forget all but the newest of each subject; how many."""
        place = sa.func.row_number().over(partition_by=(_C.kind, _C.subject), order_by=_C.id.desc())
        routine = (_C.kind.in_(kinds), _C.state == TaskState.DONE, _C.cause.in_(CAUSES))
        placed = sa.select(_C.id, place.label("place")).where(*routine).subquery()
        old = sa.select(placed.c.id).where(placed.c.place > kept).limit(most)
        return self.context.connection.execute(sa.delete(self.table).where(_C.id.in_(old))).rowcount

    def _taken_up(self, waiting: TaskRun, cause: str, due: datetime) -> TaskRun:
        """The waiting run as it is when it stands for another one too."""
        if waiting.state is TaskState.RETRYING and cause in _PATIENT:
            return waiting
        taken = replace(waiting, cause=max(waiting.cause, cause, key=_gravity), due=min(waiting.due, due))
        if taken != waiting:
            self._set(taken.id, WAITING, cause=taken.cause, due=taken.due)
        return taken

    def _held(self, run: TaskRun, holder: UUID, lease: timedelta) -> TaskRun:
        now = self.context.now
        taken = replace(
            run,
            state=TaskState.RUNNING,
            attempt=run.attempt + 1,
            started=now,
            done=0,
            total=0,
            error="",
            values={},
            holder=holder,
            lease=now + lease,
        )
        self._update(taken)
        return taken

    def _say(self, lines: Iterable[TaskLine]) -> None:
        rows = [
            {
                "id": line.id,
                "run": line.run,
                "at": line.at,
                "attempt": line.attempt,
                "level": line.level,
                "code": line.code,
                "values": dict(line.values),
            }
            for line in lines
        ]
        if rows:
            self.context.connection.execute(sa.insert(_LINES), rows)

    def _set(self, key: UUID, states: Collection[TaskState], **values: object) -> bool:
        return self._change(sa.and_(_C.id == key, _C.state.in_(states)), values)

    def _change(self, where: sa.ColumnElement[bool], values: dict[str, object]) -> bool:
        return bool(self.context.connection.execute(sa.update(self.table).where(where).values(values)).rowcount)

    def _note(self, before: TaskRun | None, after: TaskRun | None) -> None:
        """Nothing: what a run does is told by whoever does it."""


_IS_OF_NOBODY = sa.and_(_OTHER.c.subject.is_(None), _C.subject.is_(None))
_HAS_ENDED_SINCE = sa.exists().where(
    _OTHER.c.kind == _C.kind,
    sa.or_(_OTHER.c.subject == _C.subject, _IS_OF_NOBODY),
    _OTHER.c.created > _C.created,
    _OTHER.c.state.in_((TaskState.DONE, TaskState.FAILED)),
)


def _gravity(cause: str) -> int:
    return _GRAVITY[Cause(cause)] if cause in CAUSES else len(_GRAVITY)


def _about(kind: TaskKind, subject: UUID | None) -> sa.ColumnElement[bool]:
    return sa.and_(_C.kind == kind, _C.subject.is_(None) if subject is None else _C.subject == subject)


def _is_held(run: TaskRun) -> sa.ColumnElement[bool]:
    return sa.and_(_C.id == run.id, _C.state == TaskState.RUNNING, _C.holder == run.holder, _C.attempt == run.attempt)


def _matching(wanted: RunFilter) -> Iterable[sa.ColumnElement[bool]]:
    if wanted.kind is not None:
        yield _C.kind == wanted.kind
    if wanted.state is not None:
        yield _C.state == wanted.state
    if wanted.subject is not None:
        yield _C.subject == wanted.subject
    if wanted.cause:
        yield _C.cause == _text(wanted.cause)
    if wanted.name:
        yield holds(_C.name, _text(wanted.name))


def _text(text: str) -> str:
    """As a column has it: no database takes a NUL, nor what UTF-8 can't say."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _fitting(column: str, text: str) -> str:
    kind = _C[column].type
    return _text(text)[: kind.length if isinstance(kind, sa.String) else None]
