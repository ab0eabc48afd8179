"""Engines in memory with integrations that lead there, and tasks that are done when a test says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from control.domain.integration import Deployment, Integration, IntegrationHealth, IntegrationType
from control.domain.outpost import Instance, InstanceState, Outpost
from control.domain.security import AuditEvent
from control.domain.task import Cause, RunFilter, TaskKind, TaskRun, TaskState
from control.fleet.integrations import create_integration
from control.fleet.outposts import create_outpost, remove_outpost, update_outpost
from control.integrations.model import ActionFailed, Cancelled, TargetAway
from control.store import Store
from control.tasks import checking, deploying, discovering, engines, previewing, surveying
from control.tasks.context import Hand, Means, Work
from control.tasks.watching import Watcher
from tests.support.memory_engine import MemoryEngine, memory_kind
from tests.support.stores import ADMIN, Clock
from tests.support.tasks import MEANS

TASKS = {
    TaskKind.DISCOVER: discovering.run,
    TaskKind.CHECK: checking.run,
    TaskKind.SURVEY: surveying.run,
    TaskKind.DEPLOY: deploying.run,
    TaskKind.PREVIEW: previewing.run,
}
IMAGE = "garrison-outpost:1.0"
OLD, NEW = "sha256:old", "sha256:new"
LEASE = timedelta(seconds=30)


@dataclass
class Stage:
    """A store, its engines by URL, and a watcher."""

    store: Store
    clock: Clock
    engines: dict[str, MemoryEngine] = field(default_factory=dict)
    means: Means = MEANS
    codes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watcher = Watcher(self.store, self.means.home)
        self.watcher.look()

    def engine(self, name: str = "local", url: str = "", **fields: Any) -> tuple[Integration, MemoryEngine]:
        """An integration and the engine it leads to, which can pull the default image."""
        at = url or f"unix:///run/{name}.sock"
        with self.store.write(ADMIN) as unit:
            integration = create_integration(unit, {"name": name, "url": at})
        made = self.engines[integration.url] = MemoryEngine(**{"registry": {IMAGE: OLD}, **fields})
        return integration, made

    def outpost(self, integration: Integration | None, name: str = "edge", **fields: Any) -> Outpost:
        """An outpost that is wanted there."""
        place = integration.name if integration is not None else ""
        with self.store.write(ADMIN) as unit:
            return create_outpost(unit, {"name": name, "type": "proxy", "integration": place, **fields})

    def change(self, outpost: Outpost, **fields: Any) -> Outpost:
        """The outpost, changed by an admin."""
        with self.store.write(ADMIN) as unit:
            return update_outpost(unit, unit.outposts.get(outpost.id), fields)

    def remove(self, outpost: Outpost) -> None:
        """An admin removes it."""
        with self.store.write(ADMIN) as unit:
            remove_outpost(unit, unit.outposts.get(outpost.id))

    def settle(self, most: int = 20) -> list[TaskKind]:
        """Look for changes and do all that is due, until nothing is; the kinds of what was done."""
        self.watcher.look()
        done: list[TaskKind] = []
        while (kind := self.step()) is not None:
            done.append(kind)
            assert len(done) < most, f"no end of it: {done}"
        return done

    def step(self) -> TaskKind | None:
        """Do what is due next, as the process of tasks would."""
        with self.store.write(ADMIN) as unit:
            run = unit.runs.claim(frozenset(TaskKind), uuid4(), LEASE)
        if run is None:
            return None
        ended = self._attempt(run)
        with self.store.write(ADMIN) as unit:
            unit.runs.end(ended)
        return run.kind

    def _attempt(self, run: TaskRun) -> TaskRun:
        try:
            result = self._perform(run)
        except TargetAway as error:
            due = self.clock() + timedelta(seconds=10)
            return replace(run, state=TaskState.RETRYING, due=due, error=error.code)
        except ActionFailed as error:
            return replace(run, state=TaskState.FAILED, error=error.code)
        except Cancelled:
            return replace(run, state=TaskState.CANCELLED)
        return replace(run, state=TaskState.DONE, result=result)

    def _perform(self, run: TaskRun) -> Mapping[str, object] | None:
        hand = Hand(run, self.clock)
        work = Work(run=run, store=self.store, means=self.means, now=self.clock, hand=hand)
        try:
            return TASKS[run.kind](work)
        finally:
            self.codes += [line.code for line in hand.lines if line.code]

    def ask(self, kind: TaskKind, subject: UUID | None = None, cause: str = Cause.SCHEDULE) -> TaskRun:
        """Hand a run in and do all that is due; the run as it ended."""
        with self.store.write(ADMIN) as unit:
            run = unit.runs.submit(kind, cause, subject, "asked")
        while self.step() is not None:
            pass
        with self.store.read() as unit:
            return unit.runs.get(run.id)

    def row(self, outpost: Outpost | UUID, integration: Integration | None = None) -> Deployment:
        """The only row of an outpost, or that of one integration."""
        rows = self.rows(outpost)
        [row] = [each for each in rows if integration is None or each.integration == integration.id]
        return row

    def rows(self, outpost: Outpost | UUID) -> list[Deployment]:
        """All rows of an outpost."""
        with self.store.read() as unit:
            return unit.deployments.of_outpost(outpost if isinstance(outpost, UUID) else outpost.id)

    def health(self, integration: Integration) -> IntegrationHealth:
        """What the last check has shown."""
        with self.store.read() as unit:
            return unit.integration_healths.get(integration.id)

    def trail(self) -> list[tuple[str, str]]:
        """What was told of deployments and integrations, in order: action and name."""
        told = [each for each in self.events() if each.action.startswith(("deploy", "reach", "unreach"))]
        return [(each.action, each.name) for each in told]

    def events(self) -> list[AuditEvent]:
        """The audit trail, the oldest first."""
        with self.store.read() as unit:
            return unit.audit.latest(1000)[::-1]

    def runs(self, kind: TaskKind | None = None, state: TaskState | None = None) -> list[TaskRun]:
        """Runs, the newest first."""
        with self.store.read() as unit:
            return unit.runs.page(RunFilter(kind=kind, state=state), 0, 1000)[0]

    def connect(self, outpost: Outpost, container: str, **fields: Any) -> Instance:
        """The link has an instance of an outpost in a container."""
        at = self.clock()
        defaults = {"id": uuid4(), "outpost": outpost.id, "uid": uuid4().hex, "state": InstanceState.CONNECTED}
        named = {"hostname": container[:12], "last_seen": at, "connected_since": at, "applied_revision": 1}
        instance = Instance(**{**defaults, **named, **fields})
        with self.store.write(ADMIN) as unit:
            unit.instances.save([instance])
        return instance

    def instances(self, outpost: Outpost) -> list[str]:
        """The host names of an outpost's instances."""
        with self.store.read() as unit:
            return [each.hostname for each in unit.instances.of_outpost(outpost.id)]


def make_stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage whose engines are those that integrations lead to."""
    stage = Stage(store=store, clock=clock)
    monkeypatch.setitem(engines.KINDS, IntegrationType.DOCKER, memory_kind(stage.engines))
    return stage
