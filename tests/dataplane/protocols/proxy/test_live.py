"""What is open is ended when it would not be let in any more: downloads never look complete, WebSockets say goodbye."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from dataplane.config import Changed, Edit, Ended, ProxyMode
from dataplane.gate import Allowed
from dataplane.protocols.proxy import live
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.dialects import Check
from dataplane.protocols.proxy.live import Live
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.told.decisions import Reason
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.builders import ALICE, NOW, OPTIONS, WIKI, session
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_all
from tests.dataplane.protocols.proxy.standing import SWITCHED, UPGRADE, Site, site, standing_before

ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegun"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
BASIC = b"Authorization: Basic YWxpY2U6YXBwLXBhc3N3b3Jk"


def silent(peer: Peer, _: bytes) -> None:
    """An application that takes its time."""
    read_all(peer)


def downloading(start: bytes) -> Callable[[Peer, bytes], None]:
    """An application that begins, and never ends."""

    def play(peer: Peer, _: bytes) -> None:
        peer.sendall(start)
        read_all(peer)

    return play


def websocket(peer: Peer, _: bytes) -> None:
    peer.sendall(SWITCHED)
    read_all(peer)


@contextmanager
def under_way(wiki: Site, raw: bytes, end: bytes) -> Iterator[Peer]:
    """A client whose exchange has come so far."""
    with connect(wiki.port) as client:
        client.sendall(raw)
        got = b""
        while end not in got:
            got += client.recv(65536)
        assert wiki.open == 1
        yield client


def ended_by(wiki: Site, how: Callable[[Site], object], raw: bytes, end: bytes) -> bytes:
    """What the client gets from the end on."""
    with under_way(wiki, raw, end) as client:
        how(wiki)
        rest = b""
        try:
            rest = read_all(client)
        except ConnectionError:
            rest += b"torn"
        until(lambda: wiki.open == 0)
        return rest


def revoke(wiki: Site) -> None:
    """Control ends the session."""
    wiki.commit(**{"ended/1": Ended(session="s1", subject="", provider="", before=NOW, until=NOW + 1e6)})


def deny(wiki: Site) -> None:
    """A binding is taken away."""
    changed = Changed(identity=ALICE, at=NOW, until=NOW + 1e6, denied_providers=frozenset({"p1"}))
    wiki.commit(**{"changed/u1": changed})


def deactivate(wiki: Site) -> None:
    """All sessions of the person end."""
    wiki.commit(**{"ended/2": Ended(session="", subject="u1", provider="", before=NOW, until=NOW + 1e6)})


def expire(wiki: Site) -> None:
    """Time passes."""
    wiki.clock.now = NOW + 90_000


def sign_out(wiki: Site) -> None:
    """The browser goes to sign out in another tab."""
    answer = wiki.ask(b"/outpost.goauthentik.io/sign_out", b"Sec-Fetch-Mode: navigate")
    assert answer.status == 302


def sign_out_elsewhere(wiki: Site) -> None:
    """Another worker of the outpost tells of it."""
    wiki.server.end_here("s1", NOW + 1e6)


def remove(wiki: Site) -> None:
    """The provider is gone."""
    wiki.server.commit(wiki.server.prepare(Edit(removed=frozenset({"provider/p1"})))[0])


def shorten(wiki: Site) -> None:
    """Sessions count for less long now."""
    provider = next(iter(wiki.server._prepared.routes.applications)).provider
    wiki.commit(**{"provider/p1": replace(provider, access_token_validity=60.0)})


def forward(wiki: Site) -> None:
    """The provider is of another mode now."""
    wiki.commit(**{"provider/p1": replace(WIKI, mode=ProxyMode.FORWARD_SINGLE)})


ENDINGS = [revoke, deny, deactivate, expire, sign_out, sign_out_elsewhere, remove, shorten, forward]


@pytest.fixture(autouse=True)
def _looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY", 0.02)


@pytest.mark.parametrize("end", ENDINGS)
class TestEndings:
    def test_a_download_is_torn(self, tmp_path: Path, end: Callable[[Site], None]) -> None:
        with site(tmp_path, downloading(ENDLESS)) as wiki:
            assert ended_by(wiki, end, wiki.request(), b"begun") in {b"", b"torn"}

    def test_a_stream_of_events_never_looks_complete(self, tmp_path: Path, end: Callable[[Site], None]) -> None:
        with site(tmp_path, downloading(EVENTS)) as wiki:
            assert b"0\r\n\r\n" not in ended_by(wiki, end, wiki.request(), b"data: 1")

    def test_a_websocket_is_closed_for_reasons_of_policy(self, tmp_path: Path, end: Callable[[Site], None]) -> None:
        with site(tmp_path, websocket) as wiki:
            rest = ended_by(wiki, end, wiki.request(b"/", *UPGRADE), b"\r\n\r\n")
        assert rest[:1] == b"\x88"
        assert rest[2:4] == (1008).to_bytes(2, "big")


def test_before_the_answer_has_begun_there_is_a_page(tmp_path: Path) -> None:
    with site(tmp_path, silent) as wiki, connect(wiki.port) as client:
        client.sendall(wiki.request(b"/", b"Accept: text/html", b"Connection: close"))
        until(lambda: wiki.open == 1)
        revoke(wiki)
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"Your sign-in has ended" in answer


def test_who_waits_for_a_turn_is_watched_as_well(tmp_path: Path) -> None:
    """Signing out frees the places of one's own, but not for what one asked for before."""
    share, posts = 16, 4
    with site(tmp_path, silent, connections=4 * share) as wiki, ExitStack() as stack:
        # Each says what it wants at once: the server waits no longer than a second for that.
        for _ in range(share):
            stack.enter_context(connect(wiki.port)).sendall(wiki.request())
        until(lambda: len(wiki.seen) == share)
        waiting = [stack.enter_context(connect(wiki.port)) for _ in range(posts)]
        for client in waiting:
            client.sendall(wiki.request(b"/", b"Content-Length: 0", b"Connection: close", method=b"POST"))
        until(lambda: wiki.open == share + posts)
        sign_out(wiki)
        for client in waiting:
            assert read_all(client).startswith(b"HTTP/1.1 403 ")
        assert len(wiki.seen) == share


def test_what_came_by_credentials_ends_with_them(tmp_path: Path) -> None:
    with site(tmp_path, downloading(ENDLESS)) as wiki:
        wiki.gate.verdict = Allowed(session=session(id="a1"), attributes="{}", cache=600.0)

        def take_back(wiki: Site) -> None:
            wiki.commit(**{"ended/a1": Ended(session="a1", subject="", provider="", before=NOW, until=NOW + 1e6)})

        raw = wiki.request(b"/", BASIC, signed_in=False)
        assert ended_by(wiki, take_back, raw, b"begun") in {b"", b"torn"}


def test_an_open_path_that_is_closed_ends_what_nobody_signed_in_for(tmp_path: Path) -> None:
    provider = replace(WIKI, skip_path_regex=("^/public/",))
    with site(tmp_path, downloading(ENDLESS), provider=provider) as wiki:
        served = next(iter(wiki.server._prepared.routes.applications)).provider

        def close(wiki: Site) -> None:
            wiki.commit(**{"provider/p1": replace(served, skip_path_regex=())})

        assert ended_by(wiki, close, wiki.request(b"/public/a", signed_in=False), b"begun") in {b"", b"torn"}


def test_an_open_path_is_matched_once_for_each_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands may be open, and are looked at each second."""
    provider = replace(WIKI, skip_path_regex=("^/public/",))
    with site(tmp_path, downloading(ENDLESS), provider=provider) as wiki:
        served = next(iter(wiki.server._prepared.routes.applications)).provider
        judge = wiki.server._doors.judge
        matched: list[bool] = []
        is_open = judge.is_open

        def count(application: Application, request: Request, check: Check) -> bool:
            matched.append(is_open(application, request, check))
            return matched[-1]

        with under_way(wiki, wiki.request(b"/public/a", signed_in=False), b"begun"):
            monkeypatch.setattr(judge, "is_open", count)
            for provider in (served, replace(served, application_name="W")):
                wiki.commit(**{"provider/p1": provider})
                known = len(matched)
                for _ in range(10):
                    wiki.server._doors.live.look()
                assert len(matched) == known
            assert wiki.open == 1
        assert set(matched) == {True}


def unrelated(wiki: Site) -> None:
    """Others are signed out."""
    wiki.commit(**{"ended/3": Ended(session="s2", subject="", provider="", before=NOW, until=NOW + 1e6)})
    wiki.server.end_here("s3", NOW + 1e6)


def rename(wiki: Site) -> None:
    """The person has another name and other groups, and may still use it."""
    person = replace(ALICE, username="alicia", groups=())
    changed = Changed(identity=person, at=NOW, until=NOW + 1e6, denied_providers=frozenset({"p9"}))
    wiki.commit(**{"changed/u1": changed})


def move(wiki: Site) -> None:
    """The application is to be found elsewhere from now on, and is called otherwise."""
    served = next(iter(wiki.server._prepared.routes.applications)).provider
    wiki.commit(
        **{"provider/p1": standing_before("http://127.0.0.1:9", provider=replace(served, application_name="W"))}
    )


def rename_outpost(wiki: Site) -> None:
    """Every application is made anew."""
    wiki.commit(options=replace(OPTIONS, outpost_name="other"))


@pytest.mark.parametrize("change", [unrelated, rename, move, rename_outpost])
def test_whoever_would_still_be_let_in_is_not_disturbed(tmp_path: Path, change: Callable[[Site], None]) -> None:
    with site(tmp_path, downloading(ENDLESS)) as wiki, under_way(wiki, wiki.request(), b"begun") as client:
        change(wiki)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert wiki.open == 1


@pytest.mark.parametrize("moved", [False, True])
def test_in_a_drain_websockets_are_told_that_we_go_away(tmp_path: Path, *, moved: bool) -> None:
    """Those of an application that has moved since, too."""
    with site(tmp_path, websocket) as wiki, under_way(wiki, wiki.request(b"/", *UPGRADE), b"\r\n\r\n") as client:
        if moved:
            move(wiki)
        draining = gevent.spawn(wiki.server.drain, 5)
        assert client.recv(4)[2:] == (1001).to_bytes(2, "big")
        client.close()
        draining.join(5)
        assert draining.ready()


def test_what_is_over_is_not_watched(tmp_path: Path) -> None:
    with site(tmp_path) as wiki:
        for _ in range(5):
            assert wiki.ask().status == 200
        assert wiki.open == 0


class _Odd:
    """Something that can't be judged, or may go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self.error = error
        self.ended: list[Reason] = []

    @property
    def relay(self) -> Relay:
        raise AssertionError("nobody asks")

    def find_reason_to_end(self) -> Reason | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return None

    def end(self, reason: Reason) -> None:
        self.ended.append(reason)


def test_what_can_not_be_judged_is_cut_off_and_the_rest_stays_watched(caplog: pytest.LogCaptureFixture) -> None:
    watch, odd, other = Live(), _Odd(RuntimeError("a bug")), _Odd()
    watch.add(odd)
    watch.add(other)
    watch.watch()
    until(lambda: other.asked > 2)
    watch.stop()
    assert (odd.asked, odd.ended) == (1, [Reason.SESSION_ENDED])
    assert other.ended == []
    assert "something open can't be judged" in caplog.text
