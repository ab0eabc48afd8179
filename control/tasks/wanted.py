"""What is wanted of outposts: read from the database in one go, rendered for the engine each is to run on.

An outpost that can't be rendered has a fault instead: what runs of it is left as it is until that is mended. Who is
answered here touches no engine.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from control.domain.application import ProxyMode, ProxyProvider
from control.domain.errors import Invalid
from control.domain.integration import Deployment, Integration
from control.domain.outpost import Instance, InstanceState, Outpost, Token
from control.fleet.instances import SILENCE
from control.fleet.launch import Home, Sites, launch_of
from control.fleet.tokens import valid_tokens
from control.integrations.model import ActionFailed, Wanted
from control.store import Store, Unit
from control.tasks.engines import KINDS

BAD_OPTIONS, NO_TOKEN = "options_refused", "no_valid_token"
CODES = (BAD_OPTIONS, NO_TOKEN)
# So much of a container's id is its host name, unless its network is its host's.
HOSTNAME_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an outpost can't be rendered: a code and the words of whoever refused."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desire:
    """An outpost as it is to be, and where; nowhere without an integration. `tokens` are those that are valid.

    `lost_at`: the address at which it would look for control and find itself; empty where there is no such doubt.
    """

    outpost: Outpost
    integration: Integration | None
    wanted: tuple[Wanted, ...] = ()
    fault: Fault | None = None
    tokens: frozenset[str] = frozenset()
    lost_at: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all its parts."""
        return sha256("".join(sorted(each.attempt for each in self.wanted)).encode()).hexdigest()

    @property
    def signature(self) -> tuple[object, ...]:
        """What differs when anything about it does."""
        place = self.integration.id if self.integration is not None else None
        return place, self.fault, self.fingerprint, self.tokens

    def get_wanted(self) -> tuple[Wanted, ...]:
        """What is wanted. Raises ActionFailed where that is unknown."""
        if self.fault is not None:
            raise ActionFailed(self.fault.code, self.fault.detail)
        return self.wanted


def find_desire(unit: Unit, home: Home, outpost: UUID) -> Desire | None:
    """What is wanted of one outpost, None where it is gone."""
    found = unit.outposts.find(outpost)
    return next(iter(desires(unit, home, [found]).values())) if found is not None else None


def desires(unit: Unit, home: Home, outposts: Iterable[Outpost]) -> dict[UUID, Desire]:
    """What is wanted of each of these, by id."""
    reader = _Reader.of(unit, [*outposts])
    return {outpost.id: _desire(home, outpost, reader, unit.now) for outpost in reader.outposts}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """What it takes for several outposts, each read once."""

    outposts: tuple[Outpost, ...]
    integrations: Mapping[UUID, Integration]
    proxies: Mapping[UUID, ProxyProvider]
    tokens: Mapping[UUID, list[Token]]
    instances: Mapping[UUID, list[Instance]]

    @classmethod
    def of(cls, unit: Unit, outposts: Collection[Outpost]) -> "_Reader":
        managed = [each for each in outposts if each.integration is not None]
        named = {key for each in managed for key in each.providers}
        return cls(
            outposts=tuple(outposts),
            integrations={each.id: each for each in unit.integrations.all()},
            proxies=unit.proxy_providers.find_many(named),
            tokens=unit.tokens.of_users([each.service_account for each in managed]),
            instances=instances_of(unit, [each.id for each in managed]),
        )

    def sites_of(self, outpost: Outpost) -> Sites:
        """What the outpost serves that something could route to it."""
        proxies = [self.proxies[key] for key in outpost.providers if key in self.proxies]
        proxied = frozenset(each.external_host for each in proxies if each.mode is ProxyMode.PROXY)
        return Sites(asked=frozenset(each.external_host for each in proxies) - proxied, proxied=proxied)


def _desire(home: Home, outpost: Outpost, reader: _Reader, now: datetime) -> Desire:
    integration = reader.integrations.get(outpost.integration) if outpost.integration is not None else None
    if integration is None:
        return Desire(outpost=outpost, integration=None)
    tokens = valid_tokens(reader.tokens[outpost.service_account], now)
    if not tokens:
        return Desire(outpost=outpost, integration=integration, fault=Fault(code=NO_TOKEN))
    accepted = accepted_tokens(tokens, reader.instances[outpost.id])
    try:
        launch = launch_of(outpost, tokens[0].secret, home)
        wanted = KINDS[integration.type].render(launch, reader.sites_of(outpost), accepted)
    except Invalid as error:
        return Desire(outpost=outpost, integration=integration, fault=Fault(code=BAD_OPTIONS, detail=str(error)))
    known = frozenset(token.fingerprint for token in tokens)
    lost_at = launch.host if launch.is_loopback and launch.network_mode != "host" else ""
    return Desire(outpost=outpost, integration=integration, wanted=wanted, tokens=known, lost_at=lost_at)


def accepted_tokens(valid: Collection[Token], instances: Iterable[Instance]) -> frozenset[str]:
    """The fingerprints an environment may hold; `valid` has the newest first.

    Those that prove something, and those that somebody began with who holds the newest by now: after a rotation there
    is nothing to be gained by making him anew. Of several who began alike the last that was heard of counts.
    """
    latest: dict[str, Instance] = {}
    for instance in sorted(instances, key=lambda each: each.last_seen):
        latest[instance.environment_token] = instance
    newest = next(iter(valid)).fingerprint
    rotated = {began for began, instance in latest.items() if began and instance.held_token == newest}
    return frozenset(token.fingerprint for token in valid) | rotated


def instances_of(unit: Unit, outposts: Iterable[UUID]) -> dict[UUID, list[Instance]]:
    """The instances of each of these outposts."""
    found: dict[UUID, list[Instance]] = {outpost: [] for outpost in outposts}
    for instance in unit.instances.of_outposts(found):
        found[instance.outpost].append(instance)
    return found


class Readiness:
    """Whether the object of an id is an instance that is up: connected, configured, and it has refused nothing.

    That is better than what an engine says of its health: an image may have a check that is wrong, or none.
    """

    def __init__(self, store: Store, outposts: Collection[UUID]) -> None:
        self._store = store
        self._outposts = outposts

    def __call__(self, key: str) -> bool:
        """Whether control's own link knows it as one, just now."""
        return key[:HOSTNAME_LENGTH] in self._up()

    def as_of_now(self) -> Callable[[str], bool]:
        """The same by what is known now, for one look at many."""
        up = self._up()
        return lambda key: key[:HOSTNAME_LENGTH] in up

    def _up(self) -> frozenset[str]:
        with self._store.read() as unit:
            found = unit.instances.of_outposts(self._outposts)
            return frozenset(each.hostname for each in found if _is_up(each, unit.now))


def _is_up(instance: Instance, now: datetime) -> bool:
    is_heard = instance.state is InstanceState.CONNECTED and now - instance.last_seen <= SILENCE
    return is_heard and instance.applied_revision > 0 and not instance.rejections


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Instances that ran in what is no more: the link has noted that of some (ids), and will of others (host names)."""

    noted: frozenset[UUID]
    late: frozenset[str]


def without_gone(row: Deployment, there: Collection[str], instances: Iterable[Instance]) -> tuple[Deployment, Gone]:
    """The row with what lies there, by id, and which of its instances are to be taken off the list. Pure.

    A container's state goes with it, so its instance never comes back; one that somebody runs by hand was never seen
    there and stays.
    """
    names = frozenset(key[:HOSTNAME_LENGTH] for key in there)
    gone = [each for each in instances if each.hostname in {*row.hosts} - names]
    late = frozenset(each.hostname for each in gone if each.state is not InstanceState.DISCONNECTED)
    noted = frozenset(each.id for each in gone if each.state is InstanceState.DISCONNECTED)
    return replace(row, hosts=tuple(sorted(names | late))), Gone(noted=noted, late=late)
