"""What mode proxy is made of config: what can't be served is refused in words, and what is the same still is kept."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from gevent.event import Event

from dataplane.config import Certificate, Edit, ProxyProvider, Resource, Upstream
from dataplane.io.self_signed import self_signed
from dataplane.protocols.proxy.backend import MAX_OVERRIDES, Backend, pseudonym
from dataplane.protocols.proxy.config import Prepared, prepare
from tests.dataplane.protocols.proxy.builders import ALICE, OPTIONS, WIKI, Randomness
from tests.dataplane.protocols.proxy.servers import Peer
from tests.dataplane.protocols.proxy.standing import OK, site, standing_before

PAIRS = [self_signed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) for _ in range(2)]
PEM = PAIRS[0][0]
KEY = "certificate/c1"
PROVIDER = standing_before("https://10.0.0.5", certificate=KEY)


def certificate(number: int = 0) -> Certificate:
    return Certificate(id="c1", name="client", chain=PAIRS[number][0], private_key=PAIRS[number][1])


def served(before: Prepared | None, *removed: str, **changed: Resource) -> tuple[Prepared, dict[str, str]]:
    edit = Edit(changed=changed, removed=frozenset(removed))
    prepared, refused = prepare(edit, "1.0", Randomness(), before)
    return prepared, dict(refused)


def both(number: int = 0) -> dict[str, Resource]:
    return {"provider/p1": PROVIDER, KEY: certificate(number)}


def backend(prepared: Prepared) -> Backend:
    application = prepared.routes.find("wiki.example.com")
    assert application is not None
    assert application.backend is not None
    return application.backend


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        (replace(standing_before(), upstream=None), "upstream"),
        (standing_before(), "address"),
        (standing_before("ftp://a"), "ftp://a"),
        (standing_before("http://"), "http://"),
        (standing_before("http://a:99999"), "99999"),
        (standing_before("http://a/?x"), "http://a/?x"),
        (standing_before("http://a/b", "http://c/d"), "same path"),
        (standing_before("http://a", host_header="a b"), "host header"),
        (standing_before("http://a", host_header="a\r\nX: y"), "host header"),
        (standing_before("https://a", authorities="no PEM"), "PEM"),
        (standing_before("https://a", certificate="certificate/none"), "certificate/none"),
        (standing_before("https://a", certificate="options"), "options"),
    ],
)
def test_what_can_not_be_reached_is_refused_in_words(provider: ProxyProvider, reason: str) -> None:
    prepared, refused = served(None, options=OPTIONS, **{"provider/p1": provider})
    assert reason in refused["provider/p1"]
    assert prepared.routes.find("wiki.example.com") is None


@pytest.mark.parametrize(
    "provider",
    [
        standing_before("http://a"), standing_before("http://a:1/x", "https://b/x"), standing_before("unix:///a"),
        standing_before("https://[::1]:8443", authorities=PEM, server_name="inner.test", host_header="inner.test:1"),
        standing_before("http://a", connections=0, connect_timeout=0.0, response_timeout=0.0, idle_timeout=0.0),
    ],
)  # fmt: skip
def test_what_can_is_served(provider: ProxyProvider) -> None:
    prepared, refused = served(None, options=OPTIONS, **{"provider/p1": provider})
    assert not refused
    assert backend(prepared).way.path == (b"/x" if "/x" in provider.internal_host else b"")


def test_what_nothing_is_said_of_is_as_usual() -> None:
    said_nothing = standing_before("http://a", connections=0, connect_timeout=0.0, response_timeout=0.0, idle_timeout=0)
    prepared, _ = served(None, options=OPTIONS, **{"provider/p1": said_nothing})
    assert backend(prepared).settings.upstream == Upstream(addresses=("http://a",))


class TestCertificate:
    def test_comes_with_the_provider(self) -> None:
        prepared, refused = served(None, options=OPTIONS, **both())
        assert not refused
        assert backend(prepared).settings.certificate == certificate()

    def test_comes_before_the_provider(self) -> None:
        first, _ = served(None, options=OPTIONS, **{KEY: certificate()})
        prepared, refused = served(first, **{"provider/p1": PROVIDER})
        assert not refused
        assert backend(prepared).settings.certificate == certificate()

    def test_comes_after_the_provider_which_is_tried_again(self) -> None:
        first, refused = served(None, options=OPTIONS, **{"provider/p1": PROVIDER})
        assert KEY in refused["provider/p1"]
        prepared, refused = served(first, **both())
        assert not refused
        assert backend(prepared).settings.certificate == certificate()

    def test_another_one_counts_at_once(self) -> None:
        first, _ = served(None, options=OPTIONS, **both())
        prepared, refused = served(first, **{KEY: certificate(1)})
        assert not refused
        assert backend(prepared).settings.certificate == certificate(1)
        assert backend(prepared) is not backend(first)

    def test_without_it_the_provider_is_not_served(self) -> None:
        first, _ = served(None, options=OPTIONS, **both())
        _, refused = served(first, KEY)
        assert KEY in refused["provider/p1"]

    def test_a_bad_one_is_refused_and_who_needs_it(self) -> None:
        _, refused = served(None, options=OPTIONS, **(both() | {KEY: replace(certificate(), chain="x")}))
        assert refused.keys() == {KEY, "provider/p1"}


class TestKept:
    """Connections are worth keeping: only what concerns an upstream makes another of it."""

    FIRST = standing_before("http://10.0.0.5")

    @pytest.mark.parametrize(
        "change",
        [
            {"provider/p1": replace(FIRST, name="Other", skip_path_regex=("^/x",), access_token_validity=60.0)},
            {"options": replace(OPTIONS, outpost_name="other", browser_url="https://other.test")},
            {"provider/p2": replace(WIKI, id="p2", external_host="https://b.example.com")},
            {KEY: certificate()},
        ],
    )
    def test_through_what_does_not_concern_it(self, change: dict[str, Resource]) -> None:
        first, _ = served(None, options=OPTIONS, **{"provider/p1": self.FIRST})
        then, refused = served(first, **change)
        assert not refused
        assert backend(then) is backend(first)

    @pytest.mark.parametrize(
        "provider",
        [
            standing_before("http://10.0.0.6"), standing_before("http://10.0.0.5", connections=1),
            standing_before("http://10.0.0.5", security_headers=True),
            replace(FIRST, external_host="https://wiki.example.com:8443"),
            replace(FIRST, internal_host_ssl_validation=False),
        ],
    )  # fmt: skip
    def test_not_through_what_does(self, provider: ProxyProvider) -> None:
        first, _ = served(None, options=OPTIONS, **{"provider/p1": self.FIRST})
        then, refused = served(first, **{"provider/p1": provider})
        assert not refused
        (after,) = (each.backend for each in then.routes.applications)
        assert after is not backend(first)


class TestLeft:
    FIRST = standing_before("http://10.0.0.5")

    @pytest.mark.parametrize("change", [{"provider/p1": standing_before("http://10.0.0.6")}, {"provider/p1": WIKI}])
    def test_what_is_replaced_is_let_go_of(self, change: dict[str, Resource]) -> None:
        first, _ = served(None, options=OPTIONS, **{"provider/p1": self.FIRST})
        assert first.left == ()
        assert served(first, **change)[0].left == (backend(first),)

    def test_what_is_removed_too(self) -> None:
        first, _ = served(None, options=OPTIONS, **{"provider/p1": self.FIRST})
        assert served(first, "provider/p1")[0].left == (backend(first),)

    def test_what_is_taken_over_is_not(self) -> None:
        first, _ = served(None, options=OPTIONS, **{"provider/p1": self.FIRST})
        renamed = replace(self.FIRST, name="Other")
        assert served(first, options=replace(OPTIONS, outpost_name="x"), **{"provider/p1": renamed})[0].left == ()

    def test_connections_at_rest_end_with_it(self, tmp_path: Path) -> None:
        ended = Event()

        def play(peer: Peer, _: bytes) -> None:
            peer.sendall(OK)
            assert peer.recv(1) == b""
            ended.set()

        with site(tmp_path, play) as wiki:
            assert wiki.ask().status == 200
            wiki.commit(**{"provider/p1": self.FIRST})
            assert ended.wait(5)

    def test_connections_at_rest_serve_on_where_nothing_concerns_them(self, tmp_path: Path) -> None:
        dialled: list[Peer] = []

        def play(peer: Peer, _: bytes) -> None:
            if peer not in dialled:
                dialled.append(peer)
            peer.sendall(OK)

        with site(tmp_path, play) as wiki:
            for name in ("One", "Other"):
                there = next(iter(wiki.server._prepared.routes.applications)).provider
                wiki.commit(**{"provider/p1": replace(there, name=name)})
                assert wiki.ask().status == 200
        assert len(dialled) == 1


class TestOverrides:
    def made(self) -> Backend:
        return backend(served(None, options=OPTIONS, **{"provider/p1": TestKept.FIRST})[0])

    def test_nobody_is_led_elsewhere_without_being_told_to(self) -> None:
        first = self.made()
        assert first.of(ALICE) is first

    def test_each_is_made_once(self) -> None:
        first = self.made()
        led = replace(ALICE, backend_override="http://10.0.0.9/app")
        assert first.of(led) is first.of(led)
        assert first.of(led).way.path == b"/app"
        assert first.of(replace(ALICE, host_header="inner.test")).way.host == b"inner.test"

    def test_there_are_so_many_at_most_and_who_came_last_stays(self) -> None:
        first = self.made()
        kept = first.of(replace(ALICE, host_header="kept.test"))
        for number in range(2 * MAX_OVERRIDES):
            first.of(replace(ALICE, backend_override=f"http://10.0.0.9:{1 + number}"))
            assert first.of(replace(ALICE, host_header="kept.test")) is kept
        assert len(list(first.relays)) == MAX_OVERRIDES + 1


def test_a_pseudonym_is_of_one_application_at_all_instances_of_an_outpost() -> None:
    assert pseudonym("o1", "p1") == pseudonym("o1", "p1")
    assert len({pseudonym("o1", "p1"), pseudonym("o1", "p2"), pseudonym("o2", "p1")}) == 3
