"""Applying files on a real database: what becomes of each object, all or nothing, and what is never shown."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.auth.passwords import Passwords
from control.blueprint import Run, apply_files
from control.blueprint.sections import SECTIONS
from control.domain.errors import Invalid
from control.fleet.tokens import ensure_embedded
from control.store import Actor, Store, Unit
from tests.support import builders
from tests.support.applying import OWN, Applier
from tests.support.auth import cheap_passwords
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock, Wakes, statements

WHOLE = """
version: 1
groups:
  - {name: staff, parents: [everyone], superuser: false, second_factor: true, attributes: {floor: 1}}
  - {name: everyone}
users:
  - username: alice
    name: Alice Doe
    email: alice@example.com
    password: correct-horse
    groups: [staff]
    active: true
    attributes: {}
providers:
  - name: wiki
    type: proxy
    mode: forward_single
    external_host: "https://wiki.example.com"
    internal_host: "http://127.0.0.1:3000"
    cookie_domain: ""
    skip_path_regex: ""
    access_token_validity: "hours=24"
applications:
  - {slug: wiki, name: Wiki, provider: wiki, policy_mode: any, second_factor: true,
     bindings: [{group: staff}, {user: alice}]}
outposts:
  - {name: edge, type: proxy, providers: [wiki], config: {log_level: info}}
"""


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_unchanged_waits_for_nobody(apply: Applier, database: Database, dry_run: bool) -> None:
    """Nor does anybody wait for it: who writes would."""
    apply(WHOLE)
    with database.store(Clock()).write(ADMIN) as unit:
        unit.users.add(builders.user("meanwhile"))
        outcomes = apply.run([WHOLE], {}, dry_run=dry_run)
    assert {outcome.split()[0] for outcome in outcomes} == {"unchanged"}


def test_only_what_changes_is_looked_at_while_others_wait(
    apply: Applier, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [f"  - {{username: user{number}, groups: [staff]}}" for number in range(50)]
    text = "\n".join(["version: 1", "groups: [{name: staff}]", "users:", *users])
    apply(text)
    told: list[str] = []
    write = store.write

    @contextmanager
    def watched(actor: Actor) -> Iterator[Unit]:
        with write(actor) as unit:
            told.extend(["begin"])
            seen = statements(unit)
            yield unit
            told.extend(seen)

    monkeypatch.setattr(store, "write", watched)
    outcomes = apply(text.replace("username: user7,", "username: user7, name: Seven,"))
    assert [outcome for outcome in outcomes if not outcome.startswith("unchanged")] == ["updated user user7"]
    assert (len(outcomes), told[0]) == (51, "begin")
    assert len(told) < 20


def test_the_whole_of_it(apply: Applier, store: Store) -> None:
    assert apply(WHOLE) == [
        "created group staff",
        "created group everyone",
        "created user alice",
        "created provider wiki",
        "created application wiki",
        "created outpost edge",
    ]
    with store.read() as unit:
        alice = unit.users.get_named("alice")
        assert [group.name for group in unit.memberships.person(alice).groups] == ["everyone", "staff"]
        assert cheap_passwords().verify(alice.password_hash, "correct-horse")
        wiki = unit.applications.get_named("wiki")
        assert len(unit.bindings.of_application(wiki.id)) == 2
        assert wiki.second_factor
        assert {group.name for group in unit.groups.all() if group.second_factor} == {"staff"}
        assert unit.outposts.get_named("edge").config == {"log_level": "info"}


def test_twice_is_unchanged_and_no_commit(apply: Applier, store: Store, wakes: Wakes) -> None:
    apply(WHOLE)
    woken = wakes.count
    assert {line.split()[0] for line in apply(WHOLE)} == {"unchanged"}
    assert wakes.count == woken
    with store.read() as unit:
        assert unit.revision() == 2


def test_fields_not_named_keep_their_value(apply: Applier, store: Store) -> None:
    apply(WHOLE)
    assert apply("users: [{username: alice, email: new@example.com}]") == ["updated user alice"]
    with store.read() as unit:
        alice = unit.users.get_named("alice")
        assert (alice.name, alice.email) == ("Alice Doe", "new@example.com")
        assert len(unit.memberships.groups_of(alice.id)) == 1


def test_a_dry_run_says_the_same_and_does_nothing(apply: Applier, store: Store, wakes: Wakes) -> None:
    assert apply.dry(WHOLE)[0] == "created group staff"
    with store.read() as unit:
        assert (unit.users.count(), unit.groups.count(), unit.revision()) == (0, 0, 1)
    assert wakes.count == 0


def test_all_or_nothing_over_all_files(apply: Applier, store: Store) -> None:
    bad = "applications: [{slug: 'not a slug', name: x, provider: nope}]"
    assert apply.refused(WHOLE, bad) == [
        "1.yaml: applications[0].provider: not found (found 'nope'); expected something that exists",
        "1.yaml: applications[0].slug: not a slug (found 'not a slug'); expected letters, digits, - and _",
    ]
    with store.read() as unit:
        assert (unit.users.count(), unit.groups.count(), unit.outposts.count()) == (0, 0, 0)


def test_files_may_name_each_others_objects_in_any_order(apply: Applier) -> None:
    first = "applications: [{slug: a, name: A, provider: p}]\noutposts: [{name: o, providers: [p]}]"
    second = "providers: [{name: p, external_host: 'https://p.example.com'}]"
    assert apply(first, second) == ["created provider p", "created application a", "created outpost o"]


def test_groups_in_a_circle_are_refused(apply: Applier) -> None:
    (said,) = apply.refused("groups: [{name: a, parents: [b]}, {name: b, parents: [a]}]")
    assert said.startswith("0.yaml: groups[1].parents: cycle")


def test_an_integration_goes_when_nothing_lies_on_its_engine_any_more(apply: Applier, store: Store) -> None:
    both = "integrations: [{name: box, url: 'ssh://box'%s}]\noutposts: [{name: edge, integration: box%s}]"
    apply(both % ("", ""))
    with store.write(ADMIN) as unit:
        edge, box = unit.outposts.get_named("edge"), unit.integrations.get_named("box")
        lies = unit.deployments.add(builders.deployment(edge, box))
    gone = ", state: absent"
    (refusal,) = apply.refused(both % (gone, gone))
    assert "what lies of outpost 'edge' on its engine" in refusal
    apply("outposts: [{name: edge, state: absent}]")
    with store.write(ADMIN) as unit:
        unit.deployments.remove(unit.deployments.get(lies.id))
    assert apply("integrations: [{name: box, state: absent}]") == ["removed integration box"]


def test_state_absent_removes_in_the_order_that_works(apply: Applier, store: Store) -> None:
    apply(WHOLE)
    gone = """
groups: [{name: everyone, state: absent}, {name: staff, state: absent}]
users: [{username: alice, state: absent}, {username: nobody, state: absent}]
providers: [{name: wiki, state: absent}]
applications: [{slug: wiki, state: absent}]
outposts: [{name: edge, state: absent}]
"""
    assert apply(gone) == [
        "removed outpost edge",
        "removed application wiki",
        "removed provider wiki",
        "removed user alice",
        "unchanged user nobody",
        "removed group everyone",
        "removed group staff",
    ]
    with store.read() as unit:
        assert (unit.users.count(), unit.groups.count(), unit.providers.count(), unit.tokens.count()) == (0, 0, 0, 0)


def test_what_is_in_use_is_not_removed(apply: Applier) -> None:
    apply(WHOLE)
    assert apply.refused("groups: [{name: staff, state: absent}]\nproviders: [{name: wiki, state: absent}]") == [
        "0.yaml: providers[0].name: in use (found 'wiki'); expected nothing that uses it (application 'wiki' does)"
    ]


def test_nothing_is_removed_by_not_being_named(apply: Applier, store: Store) -> None:
    apply(WHOLE)
    apply("users: [{username: bob}]")
    with store.read() as unit:
        assert [user.username for user in unit.users.all() if user.username in {"alice", "bob"}] == ["alice", "bob"]


def test_a_password_counts_at_creation_only(apply: Applier, store: Store) -> None:
    apply("users: [{username: alice, password: correct-horse}]")
    assert apply("users: [{username: alice, password: another-horse}]") == ["unchanged user alice"]
    assert matches(store, "correct-horse")


def test_a_password_is_enforced_where_wanted(apply: Applier, store: Store) -> None:
    enforced = "users: [{username: alice, password: another-horse, password_policy: enforce}]"
    apply("users: [{username: alice, password: correct-horse}]")
    assert apply(enforced) == ["updated user alice"]
    assert matches(store, "another-horse")
    assert apply(enforced) == ["unchanged user alice"]


def test_a_hash_counts_always(apply: Applier, store: Store) -> None:
    apply("users: [{username: alice, password: correct-horse}]")
    hashed = f"users: [{{username: alice, password_hash: '{Passwords().hash('battery-staple')}'}}]"
    assert apply(hashed) == ["updated user alice"]
    assert matches(store, "battery-staple")
    assert apply(hashed) == ["unchanged user alice"]


def test_secrets_are_never_shown(apply: Applier) -> None:
    secret = "S3CR3T"
    texts = [
        f"users: [{{username: a, password: {secret}}}]",
        f"users: [{{username: a, password_hash: {secret}}}]",
        f"users: [{{username: a, password: [{secret}]}}]",
        "users: [{username: a, email: 'env://X'}]",
        f"certificates: [{{name: a, certificate: x, key: {secret}}}]",
        "providers: [{name: a, external_host: 'env://X'}]",
        "outposts: [{name: a, config: {log_level: 'env://X'}}]",
        "applications: [{slug: a, name: a, bindings: [{user: 'env://X'}]}]",
    ]
    for text in texts:
        said = apply.refused(text, X=secret)
        assert said
        assert secret not in " ".join(said)


def test_an_outposts_type_or_a_providers_that_has_no_server_is_refused(apply: Applier) -> None:
    assert apply.refused("providers: [{name: d, type: rac}]") == [
        "0.yaml: providers[0].type: not served yet (found 'rac'); expected one of proxy, ldap"
    ]
    assert apply.refused("providers: [{name: d, type: smtp}]") == [
        "0.yaml: providers[0].type: not a choice (found 'smtp'); expected one of proxy, ldap"
    ]
    assert apply.refused("outposts: [{name: d, type: radius}]") == [
        "0.yaml: outposts[0].type: not served yet (found 'radius'); expected one of proxy, ldap"
    ]


def test_service_accounts_of_outposts_are_not_made_by_hand(apply: Applier) -> None:
    (said,) = apply.refused("users: [{username: a, type: internal_service_account}]")
    assert said.startswith("0.yaml: users[0].kind: made with outposts")


def test_bad_values_of_people_are_all_told(apply: Applier) -> None:
    said = apply.refused("users: [{username: a, email: 7, active: maybe, groups: [none], attributes: [], type: robot}]")
    assert [line.split(":")[1].strip() for line in said] == [
        "users[0].kind",
        "users[0].email",
        "users[0].active",
        "users[0].attributes",
        "users[0].groups[0]",
    ]


def test_a_file_that_is_not_there(apply: Applier, tmp_path: Path) -> None:
    run = Run(files=[tmp_path / "none.yaml"], own_url=OWN, actor=ADMIN, environment={})
    with pytest.raises(Invalid, match=r"none\.yaml: file unreadable.*No such file"):
        apply_files(apply.store, run)


def test_a_file_that_is_not_text(apply: Applier, tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"users: [{username: \xe4}]")
    run = Run(files=[tmp_path / "latin.yaml"], own_url=OWN, actor=ADMIN, environment={})
    with pytest.raises(Invalid, match="not utf8"):
        apply_files(apply.store, run)


def test_a_byte_order_mark_is_no_matter(apply: Applier) -> None:
    assert apply("\ufeffusers: [{username: a}]") == ["created user a"]


def test_who_applied_is_in_the_trail(apply: Applier, store: Store) -> None:
    apply("groups: [{name: staff}]")
    with store.read() as unit:
        assert [(event.actor, event.action, event.name) for event in unit.audit.latest(3)] == [
            ("cli", "created", "staff")
        ]


def test_the_embedded_outpost_can_be_set(apply: Applier, store: Store) -> None:
    with store.write(ADMIN) as unit:
        ensure_embedded(unit)
    text = "outposts: [{name: Embedded outpost, config: {authentik_host_browser: 'https://id.example.com'}}]"
    assert apply(text) == ["updated outpost Embedded outpost"]


_keys = st.sampled_from(sorted({key for section in SECTIONS for key in section.known} - {"state"}))
_names = st.sampled_from(["a", "proxy", "https://a.example.com", "hours=1", "forward_domain", "all"])
_scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | _names
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(_keys | st.sampled_from(["user", "log_level"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_items = st.sampled_from(SECTIONS).flatmap(
    lambda section: st.tuples(
        st.just(section.name),
        st.fixed_dictionaries(
            {section.key: st.just("a")}, optional={key: _values for key in section.known if key != section.key}
        ),
    )
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_items)
def test_nonsense_is_invalid_and_nothing_else(apply: Applier, item: tuple[str, dict[str, object]]) -> None:
    with suppress(Invalid):
        apply.dry(yaml.safe_dump({item[0]: [item[1]]}))


def matches(store: Store, password: str) -> bool:
    with store.read() as unit:
        return Passwords().verify(unit.users.get_named("alice").password_hash, password)
