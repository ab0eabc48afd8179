"""What is known of running instances, read for pages and the command line, and kept tidy: seven days of history."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from control.domain.outpost import Instance, InstanceState, Outpost
from control.fleet.options import find_fault
from control.store import Unit

KEPT = timedelta(days=7)
# The versions of the link's protocol that control serves: its own and the one before.
PROTOCOLS = range(1, 3)
# The link writes what it hears in a batch each minute; two that are missing and some slack.
SILENCE = timedelta(seconds=150)
TOLERATED_SKEW = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """An instance and what to think of it.

    `behind`: connected, and control wants it at a newer revision. `outdated`: another version than ours.
    `skewed`: its clock differs from ours by over a minute.
    """

    instance: Instance
    behind: bool
    outdated: bool
    skewed: bool

    @property
    def healthy(self) -> bool:
        """Connected, with nothing refused and nothing wrong; to be behind for a moment is no illness."""
        instance = self.instance
        return instance.state is InstanceState.CONNECTED and not instance.rejections and not instance.last_error


@dataclass(frozen=True, slots=True, kw_only=True)
class OutpostHealth:
    """An outpost with its instances: the connected first, then by host name."""

    outpost: Outpost
    instances: tuple[InstanceView, ...]

    @property
    def healthy(self) -> int:
        """How many instances are well."""
        return sum(view.healthy for view in self.instances)

    @property
    def unhealthy(self) -> int:
        """How many are not."""
        return len(self.instances) - self.healthy

    @property
    def last_seen(self) -> datetime | None:
        """When any instance was last heard of."""
        return max((view.instance.last_seen for view in self.instances), default=None)


def health(unit: Unit, outpost: Outpost, version: str) -> OutpostHealth:
    """How one outpost is; `version` is ours."""
    return judge(outpost, unit.instances.of_outpost(outpost.id), version, unit.now)


def fleet_health(unit: Unit, version: str) -> tuple[OutpostHealth, ...]:
    """How all outposts are, by name."""
    instances: defaultdict[UUID, list[Instance]] = defaultdict(list)
    for instance in unit.instances.all():
        instances[instance.outpost].append(instance)
    return tuple(judge(outpost, instances[outpost.id], version, unit.now) for outpost in unit.outposts.all())


def judge(outpost: Outpost, instances: Iterable[Instance], version: str, now: datetime) -> OutpostHealth:
    """What to think of an outpost's instances at that time."""
    fault = find_fault(outpost)
    believed = (_blamed(_believed(instance, now), fault) for instance in instances)
    ordered = sorted(believed, key=lambda each: (each.state is InstanceState.DISCONNECTED, each.hostname, each.uid))
    return OutpostHealth(outpost=outpost, instances=tuple(_view(instance, version) for instance in ordered))


def _blamed(instance: Instance, fault: str) -> Instance:
    """With options that can't be used nothing is sent, which an instance that is well doesn't know."""
    if not fault:
        return instance
    return replace(instance, last_error=f"it gets no updates, since the outpost's options can't be used: {fault}")


def mark_all_disconnected(unit: Unit) -> None:
    """Say of every instance that it is away: whoever held its stream is no more."""
    connected = (each for each in unit.instances.all() if each.state is not InstanceState.DISCONNECTED)
    unit.instances.save(replace(each, state=InstanceState.DISCONNECTED, connected_since=None) for each in connected)


def forget_old(unit: Unit) -> None:
    """Drop instances that have been away for longer than they are remembered."""
    for instance in unit.instances.all():
        if is_history(instance, unit.now):
            unit.instances.remove(instance)


def is_history(instance: Instance, now: datetime) -> bool:
    """Whether an instance has been away for so long that nobody asks for it."""
    return instance.state is InstanceState.DISCONNECTED and now - instance.last_seen > KEPT


def _believed(instance: Instance, now: datetime) -> Instance:
    """Nobody writes that an instance is away when the link itself was killed: silence says it."""
    if instance.state is not InstanceState.DISCONNECTED and now - instance.last_seen > SILENCE:
        return replace(instance, state=InstanceState.DISCONNECTED, connected_since=None)
    return instance


def _view(instance: Instance, version: str) -> InstanceView:
    connected = instance.state is not InstanceState.DISCONNECTED
    return InstanceView(
        instance=instance,
        behind=connected and instance.applied_revision < instance.wanted_revision,
        outdated=bool(instance.version) and instance.version != version,
        skewed=abs(instance.clock_skew) > TOLERATED_SKEW,
    )
