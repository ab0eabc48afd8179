"""What is known of running instances, read for pages and the command line, and kept tidy: seven days of history.

An admin may ask one to drain, which the link passes on, and forget one that is gone. Who writes instances and their
history is the link alone.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from control.domain.errors import Invalid, NotFound, Problem
from control.domain.outpost import Drain, Instance, InstanceEvent, InstanceEventKind, InstanceState, Outpost
from control.fleet.options import find_fault
from control.store import Event, Unit

KEPT = timedelta(days=7)
# Of those that are gone, per outpost: replicas whose state folder is lost with them are new instances each time.
MOST_GONE = 200
MOST_HISTORY = 100
# A wish to drain that nobody could carry out by then is none any more.
DRAIN_KEPT = timedelta(minutes=10)
# The versions of the link's protocol that control serves: its own and the one before.
PROTOCOLS = range(1, 3)
# The link writes what it hears in a batch each minute; two that are missing and some slack.
SILENCE = timedelta(seconds=150)
TOLERATED_SKEW = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """An instance and what to think of it.

    `behind`: connected, and control wants it at a newer revision. `outdated`: another version than ours, and a `newer`
    one where control itself is the older. `unsupported`: it speaks a version of the link's protocol that control
    doesn't serve. `skewed`: its clock differs from ours by over a minute.
    """

    instance: Instance
    behind: bool
    outdated: bool
    newer: bool
    unsupported: bool
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


def find_objection_to_protocol(protocol: int) -> str:
    """Why an instance that speaks this version of the link's protocol is not served; empty where it is."""
    if protocol in PROTOCOLS:
        return ""
    older = "control" if protocol > PROTOCOLS[-1] else "the outpost"
    served = f"this control serves {PROTOCOLS[0]} to {PROTOCOLS[-1]}"
    return f"speaks version {protocol} of the link's protocol; {served}: upgrade {older}"


def ask_drain(unit: Unit, outpost: Outpost, uid: str) -> Drain:
    """Have an instance end when what is in flight is done; asking twice is asking once.

    Raises NotFound, and Invalid for an instance that isn't connected or is the embedded one.
    """
    instance = _believed(_get_instance(unit, outpost, uid), unit.now)
    if outpost.embedded:
        raise _refused("embedded", uid, "an instance of another outpost: this one lives and ends with control")
    if instance.state is InstanceState.DISCONNECTED:
        raise _refused("not_connected", uid, "an instance that is connected")
    asked = [drain for drain in unit.drains.all() if (drain.outpost, drain.uid) == (outpost.id, uid)]
    standing = find_drain(asked, instance, unit.now)
    if standing is not None:
        return standing
    unit.drains.forget(drain.id for drain in asked)
    return unit.drains.add(Drain(id=uuid4(), outpost=outpost.id, uid=uid, asked=unit.now))


def find_drain(drains: Iterable[Drain], instance: Instance, now: datetime) -> Drain | None:
    """The wish that this instance ends: one that still counts, and not one that an earlier run of it was to obey."""
    mine = (drain for drain in drains if (drain.outpost, drain.uid) == (instance.outpost, instance.uid))
    return next((drain for drain in mine if _is_live(drain, now) and not _began_after(drain, instance)), None)


def _is_live(drain: Drain, now: datetime) -> bool:
    return now - drain.asked <= DRAIN_KEPT


def _began_after(drain: Drain, instance: Instance) -> bool:
    """Whether this run of the instance began after the wish, by our clock."""
    if instance.started is None:
        return False
    return instance.started - timedelta(seconds=instance.clock_skew) > drain.asked


def history(unit: Unit, outpost: Outpost, uid: str) -> tuple[InstanceEvent, ...]:
    """What happened to an instance, the newest first."""
    return tuple(unit.instance_events.of_instance(outpost.id, uid, MOST_HISTORY))


def forget_instance(unit: Unit, outpost: Outpost, uid: str) -> None:
    """Take an instance that is gone off the list. Raises NotFound, and Invalid where it is connected."""
    instance = _get_instance(unit, outpost, uid)
    if _believed(instance, unit.now).state is not InstanceState.DISCONNECTED:
        raise _refused("still_connected", uid, "an instance that is gone")
    unit.instances.remove(instance)
    unit.record(Event(action="removed", kind="instance", target=uid, name=f"{instance.hostname} of {outpost.name}"))


def _get_instance(unit: Unit, outpost: Outpost, uid: str) -> Instance:
    found = next((each for each in unit.instances.of_outpost(outpost.id) if each.uid == uid), None)
    if found is None:
        raise NotFound("instance", uid)
    return found


def _refused(code: str, uid: str, expected: str) -> Invalid:
    return Invalid([Problem(field="instance", code=code, found=uid, expected=expected)])


def mark_abandoned(unit: Unit, living: Collection[UUID]) -> None:
    """Say of every instance that none of the living link processes holds that it is away."""
    abandoned = [each for each in unit.instances.all() if _is_connected(each) and each.holder not in living]
    unit.instances.save(
        replace(each, state=InstanceState.DISCONNECTED, connected_since=None, holder=None) for each in abandoned
    )
    unit.instance_events.record(_abandoned(each, unit.now) for each in abandoned)


def _is_connected(instance: Instance) -> bool:
    return instance.state is not InstanceState.DISCONNECTED


def _abandoned(instance: Instance, now: datetime) -> InstanceEvent:
    return InstanceEvent(
        id=uuid4(),
        outpost=instance.outpost,
        uid=instance.uid,
        at=now,
        kind=InstanceEventKind.DISCONNECTED,
        detail="control ended without a word",
    )


def forget_old(unit: Unit) -> None:
    """Drop instances that have been away for longer than they are remembered, with what happened before, and wishes."""
    gone: defaultdict[UUID, list[Instance]] = defaultdict(list)
    for instance in unit.instances.all():
        if instance.state is InstanceState.DISCONNECTED:
            gone[instance.outpost].append(instance)
    for instances in gone.values():
        for instance in _to_forget(instances, unit.now):
            unit.instances.remove(instance)
    unit.instance_events.drop_before(unit.now - KEPT)
    unit.drains.forget(drain.id for drain in unit.drains.all() if not _is_live(drain, unit.now))


def _to_forget(gone: Iterable[Instance], now: datetime) -> list[Instance]:
    latest_first = sorted(gone, key=lambda each: each.last_seen, reverse=True)
    return [each for at, each in enumerate(latest_first) if at >= MOST_GONE or now - each.last_seen > KEPT]


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
        newer=_numbers(instance.version) > _numbers(version),
        unsupported=instance.protocol not in PROTOCOLS,
        skewed=abs(instance.clock_skew) > TOLERATED_SKEW,
    )


def _numbers(version: str) -> tuple[int, ...]:
    """A version as far as it can be compared: 1.10.0rc1 as (1, 10, 0)."""
    found = re.match(r"\d+(\.\d+)*", version, re.ASCII)
    return tuple(int(part[:9]) for part in found[0].split(".")) if found else ()
