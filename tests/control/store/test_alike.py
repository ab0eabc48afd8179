"""Whatever the database: the same values come back, in the same order, found by the same words, refused alike."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from control.domain.application import Binding
from control.domain.errors import Invalid, NotFound
from control.domain.identity import UserKind
from control.domain.security import CookieKey, Revocation
from control.store import Actor, Event, Store, tables
from tests.support import builders
from tests.support.stores import ADMIN, Clock, rolled_back

NAMES = [
    "Zoë",
    "apple",
    "Äpfel",
    "zebra",
    "Apple",
    "éclair",
    "_x",
    "10",
    "9",
    "a b",
    "a-b",
    "ab",
    "Ωmega",
    "ñ",
    "𝔘",
    "~",
]
# One database serves all examples of a test: each is rolled back.
SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_text_is_ordered_by_code_point(store: Store) -> None:
    with store.write(ADMIN) as unit:
        for name in random.Random(7).sample(NAMES, len(NAMES)):
            unit.groups.add(builders.group(name))
            unit.users.add(builders.user(name))
    with store.read() as unit:
        assert [group.name for group in unit.groups.all()] == sorted(NAMES)
        page, _ = unit.users.search("", tuple(UserKind), 3, 5)
        assert [user.username for user in page] == sorted(NAMES)[3:8]


def test_what_is_equal_keeps_its_order(store: Store) -> None:
    """PostgreSQL moves a row that is updated to the end of its table."""
    wiki, staff = builders.application(), builders.group()
    with store.write(ADMIN) as unit:
        unit.groups.add(staff)
        unit.applications.add(wiki)
        for _ in range(20):
            unit.bindings.add(Binding(id=uuid4(), application=wiki.id, group=staff.id, order=1))
    with store.read() as unit:
        before = [binding.id for binding in unit.bindings.of_application(wiki.id)]
    for key in before[:3]:
        with store.write(ADMIN) as unit:
            unit.bindings.update(replace(unit.bindings.get(key), negate=True))
    with store.read() as unit:
        assert [binding.id for binding in unit.bindings.of_application(wiki.id)] == before


def test_the_audit_trail_of_one_moment_keeps_its_order(store: Store) -> None:
    for unit_number in range(3):
        with store.write(ADMIN) as unit:
            for number in range(20):
                unit.record(Event(action="did", kind="thing", target="", name=f"{unit_number}.{number:02}"))
    with store.read() as unit:
        names = [event.name for event in unit.audit.latest(60)]
        assert names == sorted(names, reverse=True)
        assert len(names) == 60


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("zoë", ["Zoë"]),
        ("ZOË", ["Zoë"]),
        ("Ä", ["Äpfel"]),
        ("äPF", ["Äpfel"]),
        ("É", ["éclair"]),
        ("ω", ["Ωmega"]),
        ("AP", ["Apple", "apple"]),
        ("ä_", []),
        ("ä%", []),
        ("ä/", []),
        ("ä\\", []),
        ("ZO\0", []),
    ],
)
def test_upper_and_lower_case_are_searched_alike_in_every_script(store: Store, text: str, found: list[str]) -> None:
    with store.write(ADMIN) as unit:
        for name in NAMES:
            unit.users.add(builders.user(name, name="-"))
    with store.read() as unit:
        users, total = unit.users.search(text, tuple(UserKind), 0, 50)
    assert ([user.username for user in users], total) == (found, len(found))


def test_signs_of_patterns_are_letters_beside_letters_of_every_script(store: Store) -> None:
    names = ["ä_1", "ä%2", "ä/3", "ä\\4", "äx5"]
    with store.write(ADMIN) as unit:
        for name in names:
            unit.users.add(builders.user(name))
    with store.read() as unit:
        for name in names:
            users, _ = unit.users.search(name[:2].upper(), tuple(UserKind), 0, 50)
            assert [user.username for user in users] == [name]


@pytest.mark.parametrize(
    "look",
    [
        lambda unit: unit.users.find_named("alice\0"),
        lambda unit: unit.applications.find_named("\0"),
        lambda unit: unit.tokens.find_by_fingerprint("f\0"),
        lambda unit: unit.proxy_providers.find_by_client_id("\0"),
    ],
)
def test_text_with_nul_is_not_found(store: Store, look: Callable[[Any], Any]) -> None:
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))
    with store.read() as unit:
        assert look(unit) is None


def test_text_that_does_not_fit_is_refused(store: Store) -> None:
    with store.write(ADMIN) as unit:
        for name, problem in (("a\0b", "name: not text"), ("x" * 151, "name: too long; expected at most 150")):
            with pytest.raises(Invalid, match=problem):
                unit.groups.add(builders.group(name))
        unit.groups.add(builders.group("ü" * 150))
        with pytest.raises(NotFound):
            unit.groups.get_named("x" * 1000)


def test_what_is_said_of_a_unit_never_fails_it(store: Store) -> None:
    """Somebody typed it, or a proxy sent it."""
    with store.write(Actor(name="a" * 300, address="\0" * 100, request_id="r" * 100)) as unit:
        unit.record(Event(action="signed_in", kind="user", target="", name="x\0" * 400, outcome="o" * 300))
    with store.read() as unit:
        (event,) = unit.audit.latest(1)
    assert (len(event.actor), len(event.address), len(event.request_id)) == (200, 80, 80)
    assert (event.name, len(event.outcome)) == ("x\N{REPLACEMENT CHARACTER}" * 250, 200)


@SHARED
@given(attributes=st.dictionaries(TEXT, JSON, max_size=5))
@example(attributes={"b": 1, "a": [1.0, -0.0, 1e300, 12345678901234567890, "😀", None, {"": False}]})
def test_json_comes_back(store: Store, attributes: dict[str, Any]) -> None:
    with rolled_back(store) as unit:
        alice = unit.users.add(builders.user("alice", attributes=attributes))
        back = unit.users.get(alice.id)
        assert back == alice
        assert list(back.attributes) == list(attributes)


@SHARED
@given(text=TEXT)
def test_text_comes_back(store: Store, text: str) -> None:
    with rolled_back(store) as unit:
        alice = unit.users.add(builders.user("alice", name=text, email=text))
        assert unit.users.get(alice.id) == alice


@SHARED
@given(secret=st.binary(max_size=200), text=TEXT)
def test_secrets_come_back(store: Store, secret: bytes, text: str) -> None:
    with rolled_back(store) as unit:
        wiki = unit.providers.add(builders.provider(skip_path_regex=text))
        key = unit.cookie_keys.add(CookieKey(id=uuid4(), provider=wiki.id, secret=secret, created=unit.now))
        assert (unit.cookie_keys.get(key.id), unit.proxy_providers.get(wiki.id)) == (key, wiki)


@SHARED
@given(seconds=st.floats(1, 2**37), hours=st.integers(-14, 14))
def test_times_come_back_whatever_their_zone(store: Store, seconds: float, hours: int) -> None:
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))
    with rolled_back(store) as unit:
        alice = unit.users.add(builders.user("alice", created=moment))
        back = unit.users.get(alice.id).created
        assert (back, back.tzinfo) == (moment, UTC)


@SHARED
@given(lengths=st.lists(st.timedeltas(timedelta(0), timedelta(days=3650)), min_size=1, max_size=4))
@example(lengths=[timedelta(hours=10), timedelta(days=9), timedelta(days=100), timedelta(microseconds=1)])
def test_lengths_of_time_come_back_and_compare_as_such(store: Store, lengths: list[timedelta]) -> None:
    with rolled_back(store) as unit:
        made = [
            unit.providers.add(builders.provider(f"p{number}", access_token_validity=length))
            for number, length in enumerate(lengths)
        ]
        assert [unit.proxy_providers.get(each.id).access_token_validity for each in made] == lengths
        assert unit.proxy_providers.longest_validity() == max(lengths)


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
def test_times_compare_to_the_microsecond(store: Store, clock: Clock, microseconds: int) -> None:
    until = clock.now + timedelta(microseconds=microseconds)
    with store.write(ADMIN) as unit:
        unit.revocations.put([Revocation(id=uuid4(), user=uuid4(), at=clock.now, until=until)])
    with store.read() as unit:
        assert len(unit.revocations.live()) == (microseconds > 0)


def test_ids_are_ordered_by_their_bytes(store: Store) -> None:
    keys = [UUID(int=number) for number in (1, 9 << 120, 10 << 120, 1 << 127, 255)]
    with store.write(ADMIN) as unit:
        for key in keys:
            unit.groups.add(builders.group(str(key), id=key))
    with store.read() as unit:
        ordered = sa.select(tables.groups.c.id).order_by(tables.groups.c.id)
        assert [row.id for row in unit.groups.context.rows(ordered)] == sorted(keys)
        assert unit.groups.known([*keys, uuid4()]) == frozenset(keys)
