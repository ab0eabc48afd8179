"""One edit after another comes to the same as everything at once, and what is prepared changes nothing by itself."""

import datetime as dt
import sys
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import Certificate, Changed, Edit, Ended, ProxyProvider, Resource
from dataplane.gate import ProxySession, SessionReference
from dataplane.io.self_signed import self_signed
from dataplane.protocols.proxy.config import Prepared, prepare
from dataplane.revocations import Revocations
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, OPTIONS, WIKI, Outpost, Randomness, session
from tests.dataplane.protocols.proxy.standing import standing_before

HOSTS = ("https://a.corp.test", "https://b.corp.test", "https://a.corp.test:8443", "https://c.example.com")
NAMES = ("a.corp.test", "b.corp.test", "c.example.com", "corp.test", "*.corp.test", "*.example.com")
PAIRS = {name: self_signed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) for name in ("one", "two")}


def _provider(number: int, host: str, domain: str, certificate: str) -> ProxyProvider:
    base = replace(DOMAIN, cookie_domain=domain) if domain else WIKI
    ident = f"p{number}"
    return replace(base, id=ident, client_id=ident, external_host=host, certificate=certificate)


def _certificate(pair: str) -> Certificate:
    return Certificate(id=pair, name=pair, chain=PAIRS[pair][0], private_key=PAIRS[pair][1])


def _before(provider: ProxyProvider, shown: str | None) -> ProxyProvider:
    """In mode proxy where it says what to show to the application."""
    if shown is None:
        return provider
    bare = replace(provider, cookie_domain="", internal_host_ssl_validation=False)  # authorities take long to read
    return standing_before("https://10.0.0.5", provider=bare, certificate=shown)


KEYS = ("", "certificate/one", "certificate/two")
PROVIDERS = st.builds(
    _before,
    st.builds(
        _provider,
        st.integers(1, 3),
        st.sampled_from(HOSTS),
        st.sampled_from(("", "", "corp.test", "a.corp.test")),
        st.sampled_from(KEYS),
    ),
    st.sampled_from((None, None, *KEYS)),
)
ENDED = st.builds(
    Ended,
    session=st.sampled_from(("", "s1")),
    subject=st.sampled_from(("", "u1")),
    provider=st.sampled_from(("", "p1")),
    before=st.sampled_from((NOW - 5000, NOW - 3000, NOW)),
    until=st.just(NOW + 1e6),
)
RESOURCES: dict[str, st.SearchStrategy[Resource]] = {
    "options": st.sampled_from((OPTIONS, replace(OPTIONS, outpost_name="other"), replace(OPTIONS, log_level="debug"))),
    **{f"provider/{number}": PROVIDERS for number in range(3)},
    **{f"certificate/{pair}": st.sampled_from([*PAIRS]).map(_certificate) for pair in PAIRS},
    **{f"ended/{number}": ENDED for number in range(4)},
    # Two of one person never have the same moment: which of them counts would be anybody's guess.
    **{
        f"changed/{number}": st.integers(0, 4).map(
            lambda step, number=number: Changed(  # type: ignore[misc]  # mypy can't infer a lambda's default
                identity=replace(ALICE, username=f"name{number}{step}"),
                at=NOW - 4000 + 500 * step + number,
                until=NOW + 1e6,
                denied_providers=frozenset(),
            )
        )
        for number in range(2)
    },
}
EDITS = st.builds(
    lambda changed, removed: Edit(changed=changed, removed=frozenset(removed) - changed.keys()),
    st.fixed_dictionaries({}, optional=RESOURCES),
    st.sets(st.sampled_from([*RESOURCES])),
)
SESSIONS = [
    session(id=id_, identity=replace(ALICE, subject=subject)) for id_ in ("s1", "s2") for subject in ("u1", "u2")
]


def _summary(prepared: Prepared, revocations: Revocations) -> dict[str, object]:
    """All that one can tell of what is served."""
    hosts = [f"{name}{port}" for name in NAMES for port in ("", ":8443")] + ["x.corp.test", "x.a.corp.test"]
    found = {host: prepared.routes.find(host) for host in hosts}
    return {
        "options": prepared.options,
        "applications": {host: app and app.provider for host, app in found.items()},
        "all": sorted(app.provider.id + app.origin.host for app in prepared.routes.applications),
        "shown": {host: app and app.open_head for host, app in found.items()},
        "backends": {host: app and app.backend and app.backend.settings for host, app in found.items()},
        "named": {name: sorted(app.provider.id for app in prepared.routes.named(name)) for name in NAMES},
        "certificates": {name: _source(prepared, name) for name in NAMES},
        "compiled": {key: each.resource for key, each in prepared.compiled.items()},
        "ended": [revocations.is_ended(each, provider) for each in SESSIONS for provider in ("p1", "p2")],
        "signed out": [revocations.is_signed_out(_reference(each)) for each in SESSIONS],
        "changed": [revocations.find_change(each) for each in SESSIONS],
    }


def _source(prepared: Prepared, name: str) -> object:
    context = prepared.find_context(name)
    return next((each.resource for each in prepared.compiled.values() if each.value is context), None)


def _reference(session: ProxySession) -> SessionReference:
    return SessionReference(
        provider="p1",
        session=session.id,
        subject=session.identity.subject,
        authenticated=session.authenticated,
        expires=session.expires,
    )


@given(st.lists(EDITS, max_size=6))
def test_edit_upon_edit_is_the_same_as_all_at_once(edits: list[Edit]) -> None:
    served: dict[str, Resource] = {}
    prepared, revocations = Prepared(), Revocations()
    for edit in edits:
        attempt, refused = prepare(edit, "1.0", Randomness(), prepared)
        if refused:
            continue
        prepared = attempt
        revocations.commit(attempt.revocations)
        served = {key: each for key, each in served.items() if key not in edit.removed} | {**edit.changed}
    fresh, refused = prepare(Edit(changed=served), "1.0", Randomness())
    assert not refused
    anew = Revocations()
    anew.commit(fresh.revocations)
    assert _summary(prepared, revocations) == _summary(fresh, anew)
    assert len(revocations) == len(anew)


@given(EDITS, EDITS)
def test_what_is_prepared_and_given_up_leaves_no_trace(first: Edit, second: Edit) -> None:
    prepared, _ = prepare(Edit(changed={"options": OPTIONS, **first.changed}), "1.0", Randomness())
    revocations = Revocations()
    revocations.commit(prepared.revocations)
    before = _summary(prepared, revocations)
    prepare(second, "1.0", Randomness(), prepared)
    assert _summary(prepared, revocations) == before


def test_nothing_is_left_of_what_was_removed() -> None:
    revocations = Revocations()
    entries: dict[str, Resource] = {
        f"ended/{number}": Ended(session="s1", subject="", provider="", before=NOW, until=NOW) for number in range(3)
    }
    revocations.commit(Edit(changed=entries))
    for number in range(3):
        assert revocations.is_ended(session(), "p1")
        revocations.commit(Edit(removed=frozenset({f"ended/{number}"})))
    assert not revocations.is_ended(session(), "p1")
    assert len(revocations) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_on_a_name_the_one_at_the_schemes_port_has_the_certificate(order: tuple[int, int]) -> None:
    """Whichever came first, and whatever they are called."""
    providers = (
        _provider(1, "https://a.corp.test", "", "certificate/one"),
        _provider(1, "https://a.corp.test:8443", "", "certificate/two"),
    )
    prepared = Prepared()
    first: dict[str, Resource] = {f"certificate/{pair}": _certificate(pair) for pair in PAIRS}
    first["options"] = OPTIONS
    edits = [Edit(changed=first), *(Edit(changed={f"provider/{number}": providers[number]}) for number in order)]
    for edit in edits:
        prepared, refused = prepare(edit, "1.0", Randomness(), prepared)
        assert not refused
    assert _source(prepared, "a.corp.test") == _certificate("one")


def test_who_has_a_host_keeps_it() -> None:
    outpost = Outpost(replace(WIKI, id="p5"))
    outpost_before = outpost.prepared
    attempt, refused = prepare(Edit(changed={"provider/p1": WIKI}), "1.0", Randomness(), outpost_before)
    assert list(refused) == ["provider/p1"]
    assert [app.provider.id for app in attempt.routes.applications] == ["p5"]


def test_two_may_change_hosts_at_once() -> None:
    one, other = WIKI, replace(WIKI, id="p5", external_host="https://other.example.com")
    outpost = Outpost(one, other)
    outpost.commit(
        **{
            "provider/p1": replace(one, external_host=other.external_host),
            "provider/p5": replace(other, external_host=one.external_host),
        }
    )
    assert not outpost.refused
    assert outpost.doors.routes.find("wiki.example.com").provider.id == "p5"  # type: ignore[union-attr]  # found


def _effort(outpost: Outpost, edit: Edit) -> int:
    """How many lines of Python it takes to prepare and commit."""
    lines = 0

    def trace(_: FrameType, event: str, __: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outpost.edit(edit)
    finally:
        sys.settrace(before)
    assert not outpost.refused
    return lines


def _many(number: int) -> dict[str, Resource]:
    providers = (_provider(each, f"https://app{each}.example.com", "", "") for each in range(number))
    ended = (Ended(session=f"s{each}", subject="", provider="", before=NOW, until=NOW) for each in range(number))
    return {
        **{f"provider/{each.id}": each for each in providers},
        **{f"ended/session/{each.session}": each for each in ended},
    }


ONE_MORE = Ended(session="more", subject="", provider="", before=NOW, until=NOW)


@pytest.mark.parametrize(
    "edit",
    [
        Edit(changed={"ended/session/more": ONE_MORE}),
        Edit(removed=frozenset({"ended/session/s3"})),
        Edit(changed={"provider/p3": _provider(3, "https://moved.example.com", "", "")}),
        Edit(removed=frozenset({"provider/p3"})),
        Edit(changed={"options": replace(OPTIONS, log_level="debug")}),
    ],
)
def test_a_change_costs_what_it_changes_however_much_there_is(edit: Edit) -> None:
    few, many = (Outpost(resources=_many(number)) for number in (5, 500))
    # What libraries have cached makes a difference of some lines; one line for each would make 500.
    assert _effort(many, edit) < _effort(few, edit) + 100


class TestOpenedSessions:
    """A person who changed is judged anew; nobody else is."""

    URL = "https://wiki.example.com/"

    def test_a_change_of_one_leaves_what_was_opened_of_others(self) -> None:
        outpost = Outpost(WIKI)
        bob = session(id="s2", identity=replace(ALICE, subject="u2", username="bob"))
        cookies = [{"Cookie": outpost.cookie()}, {"Cookie": outpost.cookie(bob)}]
        for cookie in cookies:
            outpost.check("traefik", self.URL, cookie)
        changed = Changed(
            identity=replace(ALICE, username="alicia"), at=NOW, until=NOW + 1e6, denied_providers=frozenset()
        )
        outpost.commit(**{"changed/u1": changed})
        names = [outpost.check("traefik", self.URL, cookie)["X-authentik-username"] for cookie in cookies]
        assert names == ["alicia", "bob"]
        assert outpost.doors.metrics.cache == {"miss": 3, "hit": 1}
        outpost.edit(Edit(removed=frozenset({"changed/u1"})))
        names = [outpost.check("traefik", self.URL, cookie)["X-authentik-username"] for cookie in cookies]
        assert names == ["alice", "bob"]

    def test_a_log_level_concerns_no_application(self) -> None:
        outpost = Outpost(WIKI)
        application = outpost.doors.routes.find("wiki.example.com")
        outpost.commit(options=replace(OPTIONS, log_level="debug", refresh_interval=1.0))
        assert outpost.doors.routes.find("wiki.example.com") is application
