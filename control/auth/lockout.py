"""Who failed too often waits: by name, by source address, and by both where the person is known to come from there.

One attacker can't lock everybody out: whoever came in from an address within 30 days waits there for that pair alone,
whatever others try elsewhere. Unknown names count as known ones do, and while an address waits all that is wrong there
is told as that wait. What it can still be made to tell (who waits after it, or by a name that waits elsewhere) is
bounded by its free attempts, as all failures count for it. After these each failure doubles the wait; an hour of quiet
begins anew. Only a whole sign-in forgives: what can't be guessed says nothing of who guesses.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from uuid import UUID

from prometheus_client import Counter

from control.auth.people_rules import composed
from control.domain.factors import Failures
from control.domain.text import printable
from control.store import Event, Unit

FIRST_WAIT = timedelta(seconds=15)
QUIET = timedelta(hours=1)
FAMILIAR = timedelta(days=30)
# What the key of those ids is for that stand for names which nobody has.
NAMES = "names that nobody has"
# All addresses that are none: what a broken proxy sends is nobody's familiar place.
UNREADABLE = "unreadable"
LOCKOUTS = Counter("garrison_lockouts", "Times that somebody was made to wait after failed sign-ins.", ["kind"])
_IPV6_SITE = 64
_LONGEST_SHOWN = 150


class Kind(StrEnum):
    """What a wait is for; the first word of a bucket's name and the label of the metric."""

    USER = "user"
    ADDRESS = "address"
    PAIR = "pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How many failures are free, and how long a wait gets."""

    free: int
    longest: timedelta


RULES = {
    Kind.USER: Rule(free=5, longest=timedelta(minutes=15)),
    Kind.ADDRESS: Rule(free=20, longest=timedelta(hours=1)),
    Kind.PAIR: Rule(free=5, longest=timedelta(minutes=15)),
}
# After this nothing that was counted matters any more.
FORGOTTEN = max(rule.longest for rule in RULES.values()) + QUIET


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Who tries: a user's id, or what stands for an unknown name; None where no name was given. `place` is where."""

    user: UUID | None
    name: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Why and until when nothing is tried, and how long that is from now."""

    kind: Kind
    bucket: str
    until: datetime
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a suspect; failures count for `kinds`. `lock`: nothing may be tried.

    `cover` is the address's wait: what is wrong is told as that, so that nobody learns who is known to come from there.
    """

    suspect: Suspect
    known: Mapping[Kind, Failures]
    kinds: tuple[Kind, ...]
    lock: Lock | None
    cover: Lock | None


def place_of(address: str) -> str:
    """Where an address is, as it is counted: IPv4 by itself, IPv6 by its /64, none at all as none."""
    if not address:
        return ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return UNREADABLE
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Network((int(parsed), _IPV6_SITE), strict=False))
    return str(parsed)


def stand_in(key: bytes, username: str) -> UUID:
    """What a name that nobody has is counted by: a keyed hash in the form of an id, as long as any other."""
    name = composed(username).encode("utf-8", "surrogatepass")
    return UUID(bytes=hmac.new(key, name, sha256).digest()[:16])


def look(unit: Unit, suspect: Suspect) -> Standing:
    """What is counted for whoever tries; the same work for everybody."""
    user, place = suspect.user, suspect.place
    came_in = user is not None and unit.failures.is_familiar(user, place, unit.now - FAMILIAR)
    buckets = dict(_buckets(suspect))
    found = unit.failures.find(buckets.values())
    known = {kind: _fresh(found.get(bucket), bucket, suspect, unit.now) for kind, bucket in buckets.items()}
    is_known = came_in and _is_somewhere(place)
    mine = tuple(kind for kind in (Kind.PAIR if is_known else Kind.USER,) if kind in known)
    own, cover = (_find_lock(known, kinds, unit.now) for kinds in (mine, _at_address(known)))
    lock = (cover or own) if own is not None or not is_known else None
    return Standing(suspect=suspect, known=known, kinds=(*mine, *_at_address(known)), lock=lock, cover=cover)


def count_failure(unit: Unit, standing: Standing) -> None:
    """Count one more failure; the audit trail is told where a wait begins. No failure makes one longer."""
    for kind in standing.kinds:
        if kind is not Kind.ADDRESS or standing.cover is None:
            _count(unit, kind, standing.known[kind])


def count_at_address(unit: Unit, standing: Standing) -> None:
    """Count a failure with what nobody can guess, against its address alone.

    A device with an app password that has expired goes on trying, and must not keep its owner out.
    """
    if standing.cover is None:
        for kind in _at_address(standing.known):
            _count(unit, kind, standing.known[kind])


def one_more(kind: Kind, failures: Failures, now: datetime) -> Failures:
    """The failures with one more at this moment, and how long to wait now."""
    count, rule = failures.count + 1, RULES[kind]
    first = failures.first if failures.count else now
    beyond = count - rule.free
    # No doubling goes on for ever: 2**40 s are more than any wait.
    wait = min(rule.longest, FIRST_WAIT * 2 ** min(beyond, 40)) if beyond >= 0 else None
    return Failures(
        bucket=failures.bucket,
        shown=failures.shown,
        address=failures.address,
        count=count,
        first=first,
        last=now,
        locked_until=now + wait if wait is not None else None,
    )


def forgive(unit: Unit, standing: Standing) -> None:
    """Somebody has come in by all that can be guessed: forget that person's failures there, and remember the place.

    Coming in at a familiar place leaves alone what others tried elsewhere in the person's name. The address's failures
    stay, but for those of the pair as long as it never had to wait: slips of many who share it don't add up.
    """
    mine = [standing.known[kind] for kind in standing.kinds if kind is not Kind.ADDRESS and standing.known[kind].count]
    unit.failures.drop([failures.bucket for failures in mine])
    address = standing.known.get(Kind.ADDRESS)
    if address is not None and address.locked_until is None and Kind.PAIR in standing.kinds:
        slips = min(address.count, sum(failures.count for failures in mine))
        if slips:
            unit.failures.put(replace(address, count=address.count - slips))
    user, place = standing.suspect.user, standing.suspect.place
    if user is not None and _is_somewhere(place):
        unit.failures.greet(user, place)


def locked(unit: Unit) -> list[Failures]:
    """Who waits at the moment, the longest first."""
    return unit.failures.locked()


def lift(unit: Unit, bucket: str) -> None:
    """End a wait and forget its failures; nothing where there are none."""
    found = unit.failures.find([bucket]).get(bucket)
    if found is None:
        return
    unit.failures.drop([bucket])
    unit.record(_event("lifted_lockout", kind_of(bucket), found, ""))


def kind_of(bucket: str) -> Kind:
    """What a bucket counts for. Raises ValueError where it is none of ours."""
    return Kind(bucket.partition("/")[0])


def clean_up(unit: Unit) -> None:
    """Forget what no longer matters."""
    unit.failures.drop_before(counted=unit.now - FORGOTTEN, familiar=unit.now - FAMILIAR)


def one_line(text: str, most: int = _LONGEST_SHOWN) -> str:
    """What somebody typed, fit for a log: nothing in it can start another line or hide."""
    return printable(text[:most])


def _find_lock(known: Mapping[Kind, Failures], kinds: Iterable[Kind], now: datetime) -> Lock | None:
    """The longest of the waits that are not over."""
    waits = ((kind, known[kind], known[kind].locked_until) for kind in kinds)
    locks = [
        Lock(kind=kind, bucket=failures.bucket, until=until, wait=until - now)
        for kind, failures, until in waits
        if until is not None and until > now
    ]
    return max(locks, key=lambda lock: lock.until, default=None)


def _at_address(known: Mapping[Kind, Failures]) -> tuple[Kind, ...]:
    return (Kind.ADDRESS,) if Kind.ADDRESS in known else ()


def _is_somewhere(place: str) -> bool:
    return place not in {"", UNREADABLE}


def _buckets(suspect: Suspect) -> Iterator[tuple[Kind, str]]:
    user, place = suspect.user, suspect.place
    if user is not None:
        yield Kind.USER, f"{Kind.USER}/{user}"
        yield Kind.PAIR, f"{Kind.PAIR}/{user}/{place}"
    if place:
        yield Kind.ADDRESS, f"{Kind.ADDRESS}/{place}"


def _fresh(known: Failures | None, bucket: str, suspect: Suspect, now: datetime) -> Failures:
    """What was counted, unless it has been quiet since for so long that counting begins anew."""
    if known is not None and now - (known.locked_until or known.last) < QUIET:
        return known
    named = kind_of(bucket) is not Kind.ADDRESS
    shown = one_line(suspect.name) if named else suspect.place
    return Failures(bucket=bucket, shown=shown, address=suspect.place, count=0, first=now, last=now)


def _count(unit: Unit, kind: Kind, failures: Failures) -> None:
    more = one_more(kind, failures, unit.now)
    unit.failures.put(more)
    if more.locked_until is not None:
        LOCKOUTS.labels(kind).inc()
        unit.record(_locked(kind, more))


def _locked(kind: Kind, failures: Failures) -> Event:
    until = failures.locked_until.isoformat(timespec="seconds") if failures.locked_until else ""
    event = _event("locked_out", kind, failures, f"{failures.count} failures in a row; until {until}")
    return replace(event, outcome="failure", common=True)


def _event(action: str, kind: Kind, failures: Failures, reason: str) -> Event:
    """About a bucket: whom it is for is its kind of object, the pair's address goes into the name."""
    target = failures.bucket.split("/")[1] if kind is not Kind.ADDRESS else ""
    name = f"{failures.shown} at {failures.address}" if kind is Kind.PAIR else failures.shown
    return Event(action=action, kind=kind, target=target, name=name, reason=reason)
