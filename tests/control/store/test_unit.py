"""The unit of work: what a commit leaves behind, and what a rollback doesn't."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from control.domain.application import Binding
from control.domain.errors import InUse, Invalid, NotFound
from control.domain.factors import Authenticator
from control.domain.identity import Group
from control.domain.security import Certificate, CookieKey, Revocation, SignIn
from control.store import Sealer, SealingError, Store, Unit, tables
from control.store.revoking import SLACK
from tests.support import builders
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock, Wakes, statements


def test_a_commit_is_numbered_audited_and_wakes(store: Store, wakes: Wakes) -> None:
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))
    with store.read() as unit:
        (event,) = unit.audit.latest(5)
        assert (event.actor, event.action, event.kind, event.name) == ("akadmin", "created", "user", "alice")
        assert (event.address, event.request_id) == ("192.0.2.7", "r1")
        assert unit.revision() == 2
    assert wakes.count == 1


def test_a_failed_unit_leaves_nothing(store: Store, wakes: Wakes) -> None:
    with pytest.raises(ZeroDivisionError), store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))
        _ = 1 / 0
    with store.read() as unit:
        assert (unit.users.all(), unit.audit.latest(5), unit.revision()) == ([], [], 1)
    assert wakes.count == 0


def test_an_update_that_changes_nothing_is_none(store: Store, wakes: Wakes) -> None:
    alice = builders.user("alice")
    with store.write(ADMIN) as unit:
        unit.users.add(alice)
    with store.write(ADMIN) as unit:
        unit.users.update(alice)
    assert wakes.count == 1


def test_the_audit_trail_names_fields_and_no_values(store: Store) -> None:
    alice = builders.user("alice", password_hash="$argon2id$old")
    with store.write(ADMIN) as unit:
        unit.users.add(alice)
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, password_hash="$argon2id$new", email="a@example.com"))
    with store.read() as unit:
        event = next(event for event in unit.audit.all() if event.action == "updated")
        assert set(event.fields) == {"password_hash", "email"}
        assert "argon2id" not in repr(event)


def test_names_are_unique(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("staff"))
        with pytest.raises(Invalid, match="name: already taken"):
            unit.groups.add(builders.group("staff"))
        unit.providers.add(builders.provider("wiki"))
        with pytest.raises(Invalid, match="name: already taken"):
            unit.providers.add(builders.provider("wiki", client_id="other"))


def test_what_is_missing_is_named(store: Store) -> None:
    with store.read() as unit, pytest.raises(NotFound, match="no user 'nobody'"):
        unit.users.get_named("nobody")


@pytest.mark.parametrize("guard", ["user", "group"])
def test_what_guards_an_application_cannot_be_removed(store: Store, guard: str) -> None:
    wiki, alice, staff = builders.application(), builders.user(), builders.group()
    user, group = (alice.id, None) if guard == "user" else (None, staff.id)
    with store.write(ADMIN) as unit:
        unit.users.add(alice)
        unit.groups.add(staff)
        unit.applications.add(wiki)
        unit.bindings.add(Binding(id=uuid4(), application=wiki.id, user=user, group=group))
    with store.write(ADMIN) as unit, pytest.raises(InUse, match="application 'wiki'"):
        if guard == "user":
            unit.users.remove(alice)
        else:
            unit.groups.remove(staff)


def test_secrets_lie_sealed_and_come_back(store: Store, database: Database, clock: Clock) -> None:
    wiki = builders.provider()
    key = CookieKey(id=uuid4(), provider=wiki.id, secret=b"\x00very-secret\xff" * 2, created=clock.now)
    pair = Certificate(id=uuid4(), name="web", chain="PEM", private_key="PRIVATE-PEM", created=clock.now)
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
        unit.cookie_keys.add(key)
        unit.certificates.add(pair)
    with store.read() as unit:
        assert unit.cookie_keys.of_provider(wiki.id) == [key]
        assert unit.certificates.get(pair.id) == pair
    with database.engine().connect() as connection:
        rows = [row for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))]
    lies = b"".join(bytes(cell) if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)
    assert b"PEM" in lies
    assert b"very-secret" not in lies
    assert b"PRIVATE-PEM" not in lies


def test_a_sealed_value_moved_elsewhere_does_not_open() -> None:
    sealer = Sealer(b"k" * 32)
    sealed = sealer.seal(("tokens", "secret", "1"), "hush")
    assert sealer.open(("tokens", "secret", "1"), sealed) == "hush"
    for place in (("tokens", "secret", "2"), ("tokens", "other", "1"), ("certificates", "secret", "1")):
        with pytest.raises(SealingError):
            sealer.open(place, sealed)
    with pytest.raises(SealingError):
        Sealer(b"x" * 32).open(("tokens", "secret", "1"), sealed)


def test_a_revocation_outlives_the_longest_session(store: Store, clock: Clock) -> None:
    alice = builders.user()
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider(access_token_validity=timedelta(days=30)))
        unit.users.add(alice)
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, active=False))
    with store.read() as unit:
        (revocation,) = unit.revocations.live()
    assert (revocation.user, revocation.changed, revocation.at) == (alice.id, False, clock.now)
    assert revocation.until == clock.now + timedelta(days=30) + SLACK
    clock.advance(days=31)
    with store.read() as unit:
        assert unit.revocations.live() == []


def test_nested_group_changes_reach_members_below(store: Store) -> None:
    top, below = builders.group("top"), builders.group("below")
    below = replace(below, parents=frozenset({top.id}))
    alice, bob = builders.user("alice"), builders.user("bob")
    with store.write(ADMIN) as unit:
        unit.groups.add(top)
        unit.groups.add(below)
        unit.users.add(alice)
        unit.users.add(bob)
        unit.memberships.set_groups(alice.id, [below.id])
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(top, superuser=True))
        assert unit.memberships.person(alice).superuser
    with store.read() as unit:
        assert {(found.user, found.changed) for found in unit.revocations.live()} == {(alice.id, True)}


def chain(unit: Unit, length: int) -> list[Group]:
    """Groups each below the one before, with one member each; the members have been there before."""
    groups: list[Group] = []
    for number in range(length):
        parents = frozenset({groups[-1].id} if groups else ())
        groups.append(unit.groups.add(builders.group(f"g{number}", parents=parents)))
        user = unit.users.add(builders.user(f"u{number}"))
        unit.memberships.set_groups(user.id, [groups[-1].id])
    return groups


def forget(store: Store) -> None:
    """Let nothing be revoked any more."""
    with store.write(ADMIN) as unit:
        for revocation in unit.revocations.all():
            unit.revocations.remove(revocation)


def changed(store: Store) -> set[str]:
    """Names of the people whose identity is another now."""
    with store.read() as unit:
        users = unit.users.find_many({found.user for found in unit.revocations.live() if found.changed})
    return {user.username for user in users.values()}


def test_a_removed_group_reaches_all_that_were_below(store: Store) -> None:
    with store.write(ADMIN) as unit:
        groups = chain(unit, 4)
    forget(store)
    with store.write(ADMIN) as unit:
        unit.groups.remove(groups[1])
    assert changed(store) == {"u1", "u2", "u3"}


def test_a_chain_that_goes_from_the_top_reaches_all_below(store: Store) -> None:
    with store.write(ADMIN) as unit:
        groups = chain(unit, 4)
    forget(store)
    with store.write(ADMIN) as unit:
        unit.groups.remove(groups[0])
        unit.groups.update(replace(groups[2], parents=frozenset()))
        unit.groups.remove(groups[1])
    assert changed(store) == {"u0", "u1", "u2", "u3"}


def test_only_who_may_have_sessions_is_told_of(store: Store) -> None:
    """A sign-in makes sessions for a day, each as long as the longest validity there is."""
    day = timedelta(days=1)
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        unit.providers.add(builders.provider("short"))
        unit.providers.add(builders.provider("long", access_token_validity=7 * day))
        for name, last in (("never", None), ("long ago", unit.now - 9 * day), ("of late", unit.now - 7.9 * day)):
            unit.users.add(builders.user(name, last_sign_in=last))
            unit.memberships.set_groups(unit.users.get_named(name).id, [staff.id])
        stayed = unit.users.add(builders.user("stayed", last_sign_in=None))
        unit.memberships.set_groups(stayed.id, [staff.id])
        unit.sign_ins.add(
            SignIn(
                id=uuid4(),
                user=stayed.id,
                fingerprint="f",
                authenticated=unit.now,
                expires=unit.now + day,
                last_seen=unit.now,
            )
        )
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(staff, superuser=True))
    assert changed(store) == {"of late", "stayed"}


@pytest.mark.parametrize(("validity", "ended"), [(timedelta(hours=2), True), (timedelta(minutes=2), False)])
def test_a_longer_validity_brings_no_session_back(store: Store, validity: timedelta, ended: bool) -> None:
    """What had ended a session may be forgotten by then: it went by the shorter validity."""
    wiki = builders.provider(access_token_validity=timedelta(hours=1))
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
    with store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(wiki, access_token_validity=validity))
        now = unit.now
    with store.read() as unit:
        found = [(each.provider, each.until) for each in unit.revocations.live()]
    # Binds last a day, whatever validity there is.
    assert found == ([(wiki.id, now + timedelta(days=1) + SLACK)] if ended else [])


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        ({"basic_auth_enabled": True, "basic_auth_password_attribute": "pw"}, True),
        ({"basic_auth_password_attribute": "pw"}, False),
        ({"name": "other"}, False),
    ],
)
def test_sessions_that_lack_what_their_application_is_to_be_sent_end(
    store: Store, fields: dict[str, Any], ended: bool
) -> None:
    wiki = builders.provider()
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
    with store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(wiki, **fields))
    with store.read() as unit:
        assert [each.provider for each in unit.revocations.live()] == ([wiki.id] if ended else [])


def test_whoever_has_a_second_factor_now_is_asked_about_again(store: Store) -> None:
    """What an outpost keeps of the password alone has to go."""
    app = Authenticator(id=uuid4(), user=uuid4(), name="phone", secret=b"s" * 20, created=builders.WHEN)
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice", id=app.user, last_sign_in=unit.now))
        unit.authenticators.add(app)
    assert changed(store) == set()
    with store.write(ADMIN) as unit:
        unit.users.touch_sign_in(alice.id)
        unit.authenticators.update(replace(app, confirmed=unit.now))
    assert changed(store) == {"alice"}


def test_a_group_with_many_members_is_saved_in_few_statements(store: Store) -> None:
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        for number in range(5):
            unit.providers.add(builders.provider(f"p{number}"))
        for number in range(200):
            user = unit.users.add(builders.user(f"u{number}"))
            unit.memberships.set_groups(user.id, [staff.id])
    for superuser in (True, False):
        with store.write(ADMIN) as unit:
            seen = statements(unit)
            unit.groups.update(replace(staff, superuser=superuser))
        assert len(seen) < 20
    assert len(changed(store)) == 200
    with store.read() as unit:
        assert len(unit.revocations.all()) == 200


def test_revocations_are_replaced_by_what_they_are_about_and_found_by_session(store: Store) -> None:
    alice, wiki = uuid4(), uuid4()
    with store.write(ADMIN) as unit:
        now, later = unit.now, unit.now + timedelta(hours=1)
        mine = [
            Revocation(id=uuid4(), user=alice, at=now, until=later),
            Revocation(id=uuid4(), user=alice, provider=wiki, at=now, until=later),
            Revocation(id=uuid4(), provider=wiki, at=now, until=later),
        ]
        others = [Revocation(id=uuid4(), user=uuid4(), at=now, until=later) for _ in range(20)]
        unit.revocations.put([*mine, *others])
    with store.write(ADMIN) as unit:
        again = replace(mine[0], id=uuid4())
        unit.revocations.put([again])
        found = {revocation.id for revocation in unit.revocations.about(uuid4(), alice, wiki)}
        assert found == {again.id, mine[1].id, mine[2].id}


def ended(store: Store) -> set[str]:
    """Whose sessions at applications are over."""
    with store.read() as unit:
        users = {each.user for each in unit.revocations.live() if each.user is not None and not each.changed}
        return {user.username for user in unit.users.find_many(users).values()}


def test_whoever_comes_to_need_a_second_factor_begins_anew(store: Store) -> None:
    """By the switch of a group, by coming into one that has it, or by one that comes below it."""
    with store.write(ADMIN) as unit:
        top, staff, plain = (unit.groups.add(builders.group(name)) for name in ("top", "staff", "plain"))
        names = ("alice", "bob", "carol", "dave")
        alice, bob, carol, _ = (unit.users.add(builders.user(name, last_sign_in=unit.now)) for name in names)
        unit.memberships.set_groups(alice.id, [staff.id])
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(staff, second_factor=True))
    assert ended(store) == {"alice"}
    with store.write(ADMIN) as unit:
        unit.memberships.set_groups(bob.id, [staff.id])
        unit.memberships.set_groups(carol.id, [plain.id])
    assert ended(store) == {"alice", "bob"}
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(plain, parents=frozenset({top.id})))
    assert ended(store) == {"alice", "bob"}
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(top, second_factor=True))
    assert ended(store) == {"alice", "bob", "carol"}


def test_a_group_below_one_that_needs_a_second_factor_needs_it(store: Store) -> None:
    with store.write(ADMIN) as unit:
        top = unit.groups.add(builders.group("top", second_factor=True))
        plain = unit.groups.add(builders.group("plain"))
        carol = unit.users.add(builders.user("carol", last_sign_in=unit.now))
        unit.memberships.set_groups(carol.id, [plain.id])
    assert ended(store) == set()
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(plain, parents=frozenset({top.id})))
    assert ended(store) == {"carol"}


def test_an_application_that_comes_to_need_a_second_factor_ends_its_sessions(store: Store) -> None:
    wiki = builders.provider()
    app = builders.application(provider=wiki.id)
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
        unit.applications.add(app)
    with store.write(ADMIN) as unit:
        unit.applications.update(replace(app, second_factor=True))
    with store.read() as unit:
        assert [found.provider for found in unit.revocations.live()] == [wiki.id]


def test_changed_rules_end_the_sessions_of_that_provider(store: Store) -> None:
    wiki, staff = builders.provider(), builders.group()
    app = builders.application(provider=wiki.id)
    with store.write(ADMIN) as unit:
        unit.groups.add(staff)
        unit.providers.add(wiki)
        unit.applications.add(app)
    with store.write(ADMIN) as unit:
        unit.bindings.add(Binding(id=uuid4(), application=app.id, group=staff.id))
    with store.read() as unit:
        assert [found.provider for found in unit.revocations.live()] == [wiki.id]
