"""Which of the cookies there are counts, for how long, and when control is asked about it."""

import hashlib
import random
import string
from dataclasses import replace

import pytest

from dataplane.config import Edit, Ended
from dataplane.gate import Refusal
from dataplane.protocols.proxy.cookies import MAX_TOKENS, seal_session
from tests.dataplane.protocols.proxy.browser import Browser
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, WIKI, Outpost, session

URL = "https://wiki.example.com/"
COOKIE = "authentik_proxy_633601a8"
MANY_GROUPS = replace(ALICE, groups=tuple(hashlib.sha256(b"%d" % number).hexdigest() for number in range(500)))


@pytest.fixture
def outpost() -> Outpost:
    return Outpost(WIKI)


def status(outpost: Outpost, cookies: str) -> int:
    return outpost.check("traefik", URL, {"Cookie": cookies}).status


class TestValidity:
    def test_a_lowered_one_counts_for_sessions_that_exist(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        assert status(outpost, cookie) == 200
        outpost.commit(**{"provider/p1": replace(WIKI, access_token_validity=3601)})
        assert status(outpost, cookie) == 200
        outpost.clock.now += 1
        assert status(outpost, cookie) == 302

    def test_a_raised_one_prolongs_nothing(self, outpost: Outpost) -> None:
        cookie = outpost.cookie()
        outpost.commit(**{"provider/p1": replace(WIKI, access_token_validity=30 * 86400)})
        outpost.clock.now = session().expires - 1
        assert status(outpost, cookie) == 200
        outpost.clock.now += 1
        assert status(outpost, cookie) == 302

    def test_what_is_over_by_it_is_not_asked_about(self, outpost: Outpost) -> None:
        cookie = outpost.cookie(session(identity=MANY_GROUPS))
        outpost.commit(**{"provider/p1": replace(WIKI, access_token_validity=600)})
        assert status(outpost, cookie) == 302
        assert not outpost.gate.look_ups

    def test_a_revocation_that_has_run_out_by_it_brings_nobody_back(self, outpost: Outpost) -> None:
        """Control keeps a revocation as long as the validity allows sessions, not as long as cookies say."""
        cookie = outpost.cookie()
        lowered = replace(WIKI, access_token_validity=3610)
        over = Ended(session="", subject="u1", provider="", before=NOW, until=NOW + 3610)
        outpost.commit(**{"provider/p1": lowered})
        outpost.commit(**{"ended/subject/u1": over})
        assert status(outpost, cookie) == 302
        outpost.clock.now += 12
        outpost.edit(Edit(removed=frozenset({"ended/subject/u1"})))
        assert status(outpost, cookie) == 302


class TestAskingControl:
    def test_a_refusal_is_remembered_for_a_while(self, outpost: Outpost) -> None:
        outpost.gate.looked_up = Refusal.SESSION_ENDED
        cookie = outpost.cookie(session(identity=MANY_GROUPS))
        for _ in range(5):
            assert status(outpost, cookie) == 302
        assert len(outpost.gate.look_ups) == 1
        outpost.clock.now += 31
        assert status(outpost, cookie) == 302
        assert len(outpost.gate.look_ups) == 2

    def test_it_is_one_sessions_refusal(self, outpost: Outpost) -> None:
        status(outpost, outpost.cookie(session(identity=MANY_GROUPS)))
        status(outpost, outpost.cookie(session(identity=MANY_GROUPS, id="s2")))
        assert [reference.session for reference in outpost.gate.look_ups] == ["s1", "s2"]

    def test_memory_is_bounded(self, outpost: Outpost, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dataplane.protocols.proxy.sessions.MAX_REFUSED", 2)
        for name in ("s1", "s2", "s3", "s3", "s1"):
            status(outpost, outpost.cookie(session(identity=MANY_GROUPS, id=name)))
        assert [reference.session for reference in outpost.gate.look_ups] == ["s1", "s2", "s3", "s1"]


class TestSeveralCookies:
    """A cookie of the host and one of its domain have one name; browsers send the older one first."""

    @pytest.mark.parametrize("first", ["1.x", "1.zzz.yyy", "2.x", "3.x", "x", ""])
    def test_a_planted_one_locks_nobody_out(self, outpost: Outpost, first: str) -> None:
        assert status(outpost, f"{COOKIE}={first}; {outpost.cookie()}") == 200

    def test_one_that_is_over_hides_none_that_counts(self, outpost: Outpost) -> None:
        old, new = outpost.cookie(), outpost.cookie(session(id="s2"))
        outpost.commit(
            **{"ended/session/s1": Ended(session="s1", subject="", provider="", before=NOW, until=NOW + 1e6)}
        )
        for _ in range(3):
            assert status(outpost, f"{old}; {new}") == 200

    def test_one_that_ends_while_it_is_cached_gives_way(self, outpost: Outpost) -> None:
        both = f"{outpost.cookie()}; {outpost.cookie(session(id='s2'))}"
        for _ in range(3):
            assert status(outpost, both) == 200
        outpost.doors.sessions.end_here("s1", NOW + 1e6)
        assert status(outpost, both) == 200
        outpost.doors.sessions.end_here("s2", NOW + 1e6)
        assert status(outpost, both) == 302

    def test_only_so_many_are_looked_at(self, outpost: Outpost) -> None:
        planted = f"{COOKIE}=1.x; " * MAX_TOKENS
        assert status(outpost, planted + outpost.cookie()) == 302

    @pytest.mark.parametrize("size", [200, 4000])
    def test_split_ones_do_not_mix(self, outpost: Outpost, size: int) -> None:
        def with_mail(id_: str, length: int) -> str:
            mail = "".join(random.Random(length).choices(string.ascii_letters, k=length))
            return outpost.cookie(session(id=id_, identity=replace(ALICE, email=mail)))

        old, new = with_mail("s1", 4500), with_mail("s2", size)
        outpost.doors.sessions.end_here("s1", NOW + 1e6)
        heads, parts = [], []
        for cookie in (old, new):
            head, *rest = cookie.split("; ")
            heads.append(head)
            parts += rest
        assert parts
        assert status(outpost, "; ".join(heads + parts)) == 200

    def test_a_new_sign_in_removes_what_lies_elsewhere(self) -> None:
        outpost = Outpost(DOMAIN)
        outpost.gate.redeemed = session()
        browser = Browser(outpost)
        start = browser.visit("https://auth.corp.test/outpost.goauthentik.io/start")
        back = browser.sign_in_at_control(start["Location"])
        name = outpost.cookie(provider="p2").partition("=")[0]
        headers = {"Cookie": "; ".join([*browser.cookies(back).values(), f"{name}=1.x; {name}=1.y"])}
        answer = outpost.ask(back.partition("auth.corp.test")[2], headers={"Host": "auth.corp.test", **headers})
        removed = [line for line in answer.all("Set-Cookie") if line.startswith(f"{name}=;") and "Max-Age=0" in line]
        assert [line for line in removed if "Domain=" not in line]


def test_a_cookie_has_one_spelling(outpost: Outpost) -> None:
    """Else each spelling is a cache entry of its own, and a call to control."""
    application = outpost.doors.routes.find("wiki.example.com")
    assert application is not None
    token = next(
        token
        for number in range(100)
        if b"_" in (token := seal_session(application.sealer, session(id=f"s{number}"))) or b"-" in token
    )
    assert status(outpost, f"{COOKIE}=1.{token.decode()}") == 200
    key, _, text = token.partition(b".")
    for spelling in (text.replace(b"_", b"/").replace(b"-", b"+"), text + b"=", text + b"\n"):
        assert application.sealer.find("session", key + b"." + spelling) is None
