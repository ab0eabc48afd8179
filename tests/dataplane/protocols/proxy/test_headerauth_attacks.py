"""Signing in with each request: what is smuggled, tried elsewhere, or no longer so."""

from dataclasses import replace

import pytest

from dataplane.config import Changed, Edit, Ended
from dataplane.gate import (
    Denied,
    DenyReason,
    Unavailable,
)
from dataplane.protocols.proxy import known
from dataplane.protocols.proxy.session import HttpSession
from dataplane.verifier import Lesson, Sharing
from tests.dataplane.protocols.proxy.builders import ALICE, DOMAIN, NOW, WIKI, Outpost, session
from tests.dataplane.protocols.proxy.programs import URL, YES, basic, outpost_of


@pytest.fixture
def outpost() -> Outpost:
    return outpost_of()


class TestOtherProviders:
    def test_what_opens_one_opens_no_other(self) -> None:
        outpost = outpost_of(WIKI, DOMAIN)
        assert outpost.check("traefik", URL, basic()).status == 200
        outpost.gate.verdict = Denied(reason=DenyReason.ACCESS_DENIED)
        assert outpost.check("traefik", "https://git.corp.test/", basic()).status == 403
        assert [attempt.provider for attempt in outpost.gate.attempts] == ["p1", "p2"]
        assert outpost.check("traefik", URL, basic()).status == 200

    def test_go_2024_3179_a_token_for_one_is_asked_about_at_the_other(self) -> None:
        outpost = outpost_of(WIKI, DOMAIN)
        token = {"Authorization": "Bearer a.b.c"}
        assert outpost.check("traefik", URL, token).status == 200
        outpost.gate.verdict = Denied(reason=DenyReason.INVALID_CREDENTIALS)
        assert outpost.check("traefik", "https://git.corp.test/", token).status == 401


class TestSmuggling:
    @pytest.mark.parametrize("order", [1, -1])
    def test_two_headers_are_refused(self, outpost: Outpost, order: int) -> None:
        lines = [basic()["Authorization"], basic(password="other")["Authorization"]][::order]
        raw = "GET /outpost.goauthentik.io/auth/envoy/page HTTP/1.1\r\nHost: wiki.example.com\r\n"
        raw += "".join(f"Authorization: {line}\r\n" for line in lines)
        ((answer,), _) = outpost.exchange(f"{raw}\r\n".encode())
        assert answer.status == 400
        assert not outpost.gate.attempts

    @pytest.mark.parametrize(
        "name", ["Authorization_", "author.ization", "authorization.", "AUTHORIZATION_", "Authorization "]
    )
    def test_other_spellings_of_the_name_let_nobody_in(self, outpost: Outpost, name: str) -> None:
        raw = f"GET /outpost.goauthentik.io/auth/envoy/page HTTP/1.1\r\nHost: wiki.example.com\r\n{name}: "
        (answers, _) = outpost.exchange(f"{raw}{basic()['Authorization']}\r\n\r\n".encode())
        assert all(answer.status >= 300 for answer in answers)
        assert not outpost.gate.attempts

    @pytest.mark.parametrize(
        "headers",
        [
            {"Proxy-Authorization": basic()["Authorization"]},
            {"X-Authorization": basic()["Authorization"]},
            {"X-Forwarded-Authorization": basic()["Authorization"]},
            {"Cookie": f"Authorization={basic()['Authorization']}"},
        ],
    )
    def test_other_headers_are_no_credentials(self, outpost: Outpost, headers: dict[str, str]) -> None:
        assert outpost.check("traefik", URL, headers).status in {302, 400}
        assert not outpost.gate.attempts

    @pytest.mark.parametrize(
        "name", ["eve\r\nX-authentik-username: akadmin", "eve\nSet-Cookie: a=b", "eve\0", "e\x7fve"]
    )
    def test_a_name_can_not_end_a_header(self, outpost: Outpost, name: str) -> None:
        assert outpost.check("traefik", URL, basic(name)).status == 401
        assert not outpost.gate.attempts
        outpost.gate.verdict = replace(YES, session=session(identity=replace(ALICE, username=name), authenticated=NOW))
        answer = outpost.check("traefik", URL, basic())
        assert answer.status == 200
        assert len(answer.all("X-authentik-username")) == 1
        assert not answer.all("Set-Cookie")

    def test_a_realm_can_not_end_a_header(self) -> None:
        odd = replace(WIKI, application_name='Wiki", x="\r\nSet-Cookie: a=b')
        outpost = outpost_of(odd, verdict=Denied(reason=DenyReason.INVALID_CREDENTIALS))
        answer = outpost.check("traefik", URL, basic())
        assert answer["WWW-Authenticate"] == 'Basic realm="Wiki?, x=???Set-Cookie: a=b", charset="UTF-8"'
        assert not answer.all("Set-Cookie")

    def test_passwords_do_not_stay_among_the_requests_that_were_seen(self, outpost: Outpost) -> None:
        known.forget()
        plain = b"GET / HTTP/1.1\r\nHost: wiki.example.com\r\n\r\n"
        secret = b"GET / HTTP/1.1\r\nHost: wiki.example.com\r\nAuthorization: Basic YTpi\r\n\r\n"
        for raw in 2 * (plain, secret):
            http = HttpSession()
            http.receive(raw)
            assert list(http.events())
        assert list(known._KNOWN) == [plain.removeprefix(b"GET / HTTP/1.1")]
        assert outpost.check("traefik", URL, basic()).status == 200
        assert not any(b"uthorization" in raw for raw in known._KNOWN)


class TestEnding:
    """What ends or changes a person bites at once, kept answers included."""

    @pytest.mark.parametrize(
        "ended",
        [
            Ended(session="a1", subject="", provider="", before=NOW, until=NOW + 1e5),
            Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + 1e5),
            Ended(session="", subject="", provider="p1", before=NOW + 1, until=NOW + 1e5),
        ],
        ids=["app password revoked", "password changed or deactivated", "rules changed"],
    )
    def test_a_kept_answer_counts_no_more(self, outpost: Outpost, ended: Ended) -> None:
        assert outpost.check("traefik", URL, basic()).status == 200
        outpost.edit(Edit(changed={"ended/x": ended}))
        for verdict, status in ((Denied(reason=DenyReason.INVALID_CREDENTIALS), 401), (Unavailable("away"), 503)):
            outpost.gate.verdict = verdict
            assert outpost.check("traefik", URL, basic()).status == status

    def test_an_answer_that_is_overtaken_lets_nobody_in(self, outpost: Outpost) -> None:
        """The end may come before the answer of a control that did not know of it yet."""
        ended = Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + 1e5)
        outpost.edit(Edit(changed={"ended/subject/u1": ended}))
        assert outpost.check("traefik", URL, basic()).status == 401

    def test_what_another_worker_learnt_before_an_end_that_came_first_here(self, outpost: Outpost) -> None:
        """By another's clock it may look as if it came after."""
        told: list[Lesson] = []
        other = outpost_of()
        for each in (outpost, other):
            each.doors.verifier.join(Sharing(key=b"s" * 32, tell=told.append))
        other.check("traefik", URL, basic())
        outpost.edit(
            Edit(changed={"ended/x": Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + 1e5)})
        )
        (lesson,) = told
        assert lesson.kept is not None
        outpost.doors.verifier.learn(replace(lesson, kept=replace(lesson.kept, at=NOW + 0.5)))
        assert len(outpost.doors.verifier) == 1
        outpost.clock.now += 2
        outpost.gate.verdict = replace(YES, session=session(id="a2", authenticated=NOW + 2))
        assert outpost.check("traefik", URL, basic()).status == 200
        assert len(outpost.gate.attempts) == 1

    def test_who_has_changed_is_asked_about_again(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, basic())
        renamed = replace(ALICE, username="alicia")
        changed = Changed(identity=renamed, at=NOW + 1, until=NOW + 1e5, denied_providers=frozenset())
        outpost.edit(Edit(changed={"changed/u1": changed}))
        later = session(id="a1", identity=renamed, authenticated=NOW + 2)
        outpost.gate.verdict = replace(YES, session=later)
        assert outpost.check("traefik", URL, basic())["X-authentik-username"] == "alicia"
        assert len(outpost.gate.attempts) == 2

    def test_who_may_no_more_by_what_came_meanwhile_is_denied(self, outpost: Outpost) -> None:
        changed = Changed(identity=ALICE, at=NOW + 1, until=NOW + 1e5, denied_providers=frozenset({"p1"}))
        outpost.edit(Edit(changed={"changed/u1": changed}))
        assert outpost.check("traefik", URL, basic()).status == 403

    def test_a_session_signed_out_here_is_over_at_once(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, basic())
        outpost.doors.end_here("a1", NOW + 1e5)
        assert outpost.check("traefik", URL, basic()).status == 401

    def test_a_provider_that_is_another_now_asks_anew(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, basic())
        outpost.commit(**{"provider/p1": replace(WIKI, client_id="other")})
        outpost.check("traefik", URL, basic())
        assert len(outpost.gate.attempts) == 2

    def test_older_answers_count_while_control_is_away(self, outpost: Outpost) -> None:
        outpost.check("traefik", URL, basic())
        outpost.gate.verdict = Unavailable("away")
        outpost.clock.now += 3600
        assert outpost.check("traefik", URL, basic()).status == 200
        assert outpost.check("traefik", URL, basic(password="other")).status == 503
        outpost.clock.now += 86400
        assert outpost.check("traefik", URL, basic()).status == 503
