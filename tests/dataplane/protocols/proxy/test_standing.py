"""Mode proxy from end to end: what the application gets, what the client gets, and who is turned away."""

from dataclasses import replace
from pathlib import Path

import pytest

from dataplane.config import Changed
from dataplane.gate import Allowed, BasicCredentials
from tests.dataplane.protocols.proxy.builders import ALICE, NOW, WIKI, session
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_head, upstream
from tests.dataplane.protocols.proxy.standing import OK, SWITCHED, UPGRADE, fields, site, standing_before

BASIC = b"Authorization: Basic YWxpY2U6YXBwLXBhc3N3b3Jk"
ROOT = replace(ALICE, superuser=True)


class TestPassing:
    def test_who_is_signed_in_gets_the_application(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            answer = wiki.ask(b"/page?x=1", b"User-Agent: test")
            assert (answer.status, answer.body) == (200, b"ok")
            (head,) = wiki.seen
        assert head.startswith(b"GET /page?x=1 HTTP/1.1\r\n")
        told = fields(head)
        assert len(told.pop("x-request-id")[0]) == 16
        assert told.pop("via")[0].startswith("1.1 garrison-")
        assert told == {
            "host": ["wiki.example.com"],
            "user-agent": ["test"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-host": ["wiki.example.com"],
            "x-forwarded-proto": ["http"],
            "x-forwarded-port": ["80"],
            "x-real-ip": ["127.0.0.1"],
            "x-authentik-username": ["alice"],
            "x-authentik-groups": ["admins|staff"],
            "x-authentik-entitlements": ["edit|read"],
            "x-authentik-email": ["alice@example.com"],
            "x-authentik-name": ["Alice Doe"],
            "x-authentik-uid": ["u1"],
            "x-authentik-jwt": [session().id_token],
            "x-authentik-meta-jwks": ["https://sso.example.com/application/o/wiki/jwks/"],
            "x-authentik-meta-outpost": ["edge"],
            "x-authentik-meta-provider": ["Wiki provider"],
            "x-authentik-meta-app": ["wiki"],
            "x-authentik-meta-version": ["goauthentik.io/outpost/1.0"],
        }

    def test_a_body_goes_with_it(self, tmp_path: Path) -> None:
        bodies: list[bytes] = []

        def play(peer: Peer, _: bytes) -> None:
            bodies.append(peer.recv(5))
            peer.sendall(OK)

        with site(tmp_path, play) as wiki:
            raw = wiki.request(b"/", b"Content-Length: 5", b"Connection: close", method=b"POST") + b"hello"
            assert wiki.ask_raw(raw).endswith(b"ok")
        assert bodies == [b"hello"]

    def test_a_trusted_proxy_in_front_says_who_asks(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            raw = wiki.request(
                b"/", b"X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.7", b"X-Forwarded-Proto: https",
                b"X-Request-Id: r-1", b"Connection: close",
            )  # fmt: skip
            wiki.ask_raw(raw)
            told = fields(wiki.seen[0])
        assert told["x-forwarded-for"] == ["203.0.113.9, 10.0.0.7, 127.0.0.1"]
        assert told["x-real-ip"] == ["203.0.113.9"]
        assert (told["x-forwarded-proto"], told["x-forwarded-port"]) == (["https"], ["443"])
        assert told["x-request-id"] == ["r-1"]

    def test_the_same_request_again_is_introduced_alike_but_for_its_name(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            for _ in range(3):
                assert wiki.ask(b"/page").status == 200
            heads = [fields(head) for head in wiki.seen]
        assert len({head.pop("x-request-id")[0] for head in heads}) == 3
        assert heads[0] == heads[1] == heads[2]

    def test_the_same_bytes_of_somebody_changed_are_introduced_anew(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            raw = wiki.request(b"/", b"Connection: close")
            wiki.ask_raw(raw)
            changed = Changed(
                identity=replace(ALICE, username="alicia"), at=NOW, until=NOW + 1e6, denied_providers=frozenset()
            )
            wiki.commit(**{"changed/u1": changed})
            wiki.ask_raw(raw)
            assert [fields(head)["x-authentik-username"] for head in wiki.seen] == [["alice"], ["alicia"]]

    def test_where_someone_is_led_by_attributes(self, tmp_path: Path) -> None:
        other = tmp_path / "other.sock"

        def play(peer: Peer) -> None:
            head = peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))

        with upstream(other, play), site(tmp_path) as wiki:
            led = session(identity=replace(ALICE, backend_override=f"unix://{other}", host_header="inner.test"))
            answer = wiki.ask(b"/", signed_in=led)
            assert b"\r\nHost: inner.test\r\n" in answer.body
            assert wiki.seen == []
            assert wiki.ask(b"/").body == b"ok"


class TestTurningAway:
    def test_who_is_not_signed_in_is_sent_to_sign_in(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            answer = wiki.ask(b"/page?x=1", b"Accept: text/html", signed_in=False)
            assert answer.status == 302
            assert answer["Location"] == (
                "https://wiki.example.com/outpost.goauthentik.io/start?rd=https%3A%2F%2Fwiki.example.com%2Fpage%3Fx%3D1"
            )
            assert wiki.seen == []

    def test_scripts_and_other_methods_get_401(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            assert wiki.ask(b"/", b"Sec-Fetch-Mode: cors", signed_in=False).status == 401
            assert wiki.ask(b"/", method=b"DELETE", signed_in=False).status == 401
            assert wiki.seen == []

    def test_who_may_not_gets_403(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            changed = Changed(identity=ALICE, at=NOW, until=NOW + 1e6, denied_providers=frozenset({"p1"}))
            wiki.commit(**{"changed/u1": changed})
            answer = wiki.ask(b"/", b"Accept: text/html")
            assert answer.status == 403
            assert b"No access to Wiki" in answer.body
            assert wiki.seen == []

    def test_a_body_nobody_wants_is_discarded(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            raw = wiki.request(b"/", b"Content-Length: 5", method=b"POST", signed_in=False) + b"GET /"
            answers = wiki.ask_raw(raw + wiki.request(b"/next", b"Connection: close"))
            assert answers.startswith(b"HTTP/1.1 401 ")
            assert answers.endswith(b"ok")
            assert len(wiki.seen) == 1

    @pytest.mark.parametrize("path", [b"auth/nginx", b"auth/traefik", b"auth/caddy", b"auth/envoy/"])
    def test_there_is_nothing_to_check(self, tmp_path: Path, path: bytes) -> None:
        """An answer would show a browser, and any script of the page, what only the application may see."""
        with site(tmp_path) as wiki:
            asked = (
                b"X-Original-URL: https://wiki.example.com/", b"X-Forwarded-Host: wiki.example.com",
                b"X-Forwarded-Proto: https", b"X-Forwarded-Uri: /",
            )  # fmt: skip
            answer = wiki.ask(b"/outpost.goauthentik.io/" + path, *asked)
            assert answer.status == 400
            assert "mode proxy" in answer.json["message"]
            assert not any("authentik" in name.lower() for name, _ in answer.headers)

    @pytest.mark.parametrize("path", [b"auth/nginx", b"auth/traefik", b"auth/caddy", b"auth/envoy/"])
    def test_nor_is_anything_else_by_its_name(self, tmp_path: Path, path: bytes) -> None:
        """Its scripts may ask by it, with all cookies that the browser has for it, and read what they are answered."""
        other = replace(WIKI, id="p2", client_id="c2", external_host="https://grafana.example.com")
        with site(tmp_path, resources={"provider/p2": other}) as wiki:
            cookie = b"Cookie: " + wiki.cookie(provider="p2")
            about = (
                b"X-Original-URL: https://grafana.example.com/", b"X-Forwarded-Host: grafana.example.com",
                b"X-Forwarded-Proto: https", b"X-Forwarded-Uri: /", cookie,
            )  # fmt: skip
            answer = wiki.ask(b"/outpost.goauthentik.io/" + path, *about, signed_in=False)
            assert answer.status == 400
            assert not any("authentik" in name.lower() for name, _ in answer.headers)
            asked = wiki.request(b"/outpost.goauthentik.io/auth/traefik", *about, signed_in=False)
            assert b"X-authentik-username: alice" in wiki.ask_raw(
                asked.replace(b"Host: wiki.example.com", b"Host: outpost:9000\r\nConnection: close", 1)
            )


class TestCredentials:
    ALLOWED = Allowed(session=session(id="a1"), attributes="{}", cache=600.0)

    def test_who_is_let_in_by_credentials_keeps_them_from_the_application(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            wiki.gate.verdict = self.ALLOWED
            for _ in range(2):
                assert wiki.ask(b"/", BASIC, signed_in=False).status == 200
            for head in wiki.seen:
                assert "authorization" not in fields(head)
                assert fields(head)["x-authentik-username"] == ["alice"]

    def test_beside_a_session_they_are_the_applications_affair(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            wiki.ask(b"/", b"Authorization: Bearer for-the-app")
            assert fields(wiki.seen[0])["authorization"] == ["Bearer for-the-app"]

    def test_the_application_is_sent_its_own(self, tmp_path: Path) -> None:
        with site(tmp_path, provider=replace(WIKI, basic_auth_enabled=True)) as wiki:
            basic = BasicCredentials(username="svc", password="s3cret")
            wiki.ask(b"/", b"Authorization: Bearer x", signed_in=session(basic=basic))
            wiki.ask(b"/", b"Authorization: Bearer x")
            assert [fields(head).get("authorization") for head in wiki.seen] == [["Basic c3ZjOnMzY3JldA=="], None]

    def test_wrong_ones_are_asked_for_again(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            assert wiki.ask(b"/", BASIC, signed_in=False).status == 401
            assert wiki.seen == []


class TestOpenPaths:
    OPEN = replace(WIKI, skip_path_regex=("^/public/",))

    def test_nobody_is_introduced(self, tmp_path: Path) -> None:
        with site(tmp_path, provider=self.OPEN) as wiki:
            assert wiki.ask(b"/public/a?b", BASIC, signed_in=False).status == 200
            told = fields(wiki.seen[0])
            assert [name for name in told if name.startswith("x-authentik-")] == [
                f"x-authentik-meta-{name}" for name in ("jwks", "outpost", "provider", "app", "version")
            ]
            assert told["authorization"] == [BASIC.decode().partition(": ")[2]]

    @pytest.mark.parametrize(
        "target",
        [
            b"/admin", b"/admin?x=/public/", b"/public/../admin", b"/public/%2e%2e/admin", b"/public/..%2fadmin",
            b"/public//admin", b"/public/;/../admin", b"/public/..;/admin", b"/public\\..\\admin", b"/%70ublic/a",
            b"//public/a", b"/x/../public/a", b"/public%2fa", b"/public/a%3b/../b", b"/public/%00", b"/./public/a",
            b"http://wiki.example.com/admin?/public/",
        ],
    )  # fmt: skip
    def test_no_spelling_opens_another_path(self, tmp_path: Path, target: bytes) -> None:
        with site(tmp_path, provider=self.OPEN) as wiki:
            assert wiki.ask(target, b"Accept: text/html", signed_in=False).status in {302, 400}
            assert wiki.seen == []

    @pytest.mark.parametrize("line", [b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin", b"X-Forwarded-Uri: /admin"])
    def test_no_header_names_another_path(self, tmp_path: Path, line: bytes) -> None:
        with site(tmp_path, provider=self.OPEN) as wiki:
            assert wiki.ask(b"/public/a", line, signed_in=False).status == 200
            assert b"admin" not in wiki.seen[0]

    def test_whoever_forges_an_identity_has_to_sign_in(self, tmp_path: Path) -> None:
        with site(tmp_path, provider=self.OPEN) as wiki:
            answer = wiki.ask(b"/public/a", b"X-authentik-username: admin", b"Accept: text/html", signed_in=False)
            assert answer.status == 302
            assert wiki.seen == []


class TestOwnPaths:
    @pytest.mark.parametrize(
        "target",
        [
            b"/outpost.goauthentik.io/nope", b"/outpost.goauthentik.io", b"//outpost.goauthentik.io/start",
            b"/outpost%2egoauthentik.io/callback", b"/x/../outpost.goauthentik.io/start",
            b"/outpost.goauthentik.io;x/start", b"/Outpost.Goauthentik.IO/start", b"/outpost.goauthentik.io%2fstart",
            b"/x?X%2dauthentik-logout=true", b"/x?x-authentik-auth-callback=true&code=1",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("signed_in", [True, False])
    def test_no_spelling_of_ours_reaches_the_application(self, tmp_path: Path, target: bytes, signed_in: bool) -> None:
        with site(tmp_path) as wiki:
            assert wiki.ask(target, b"Accept: text/html", signed_in=signed_in).status == 404
            assert wiki.seen == []

    def test_they_are_passed_on_as_sent_where_they_are_not_ours(self, tmp_path: Path) -> None:
        targets = (b"/a%2fb", b"/%41", b"//a", b"/a/../b", b"/a;b", b"/a?b=%zz&c=/../", b"/a\\b")
        with site(tmp_path) as wiki:
            for target in targets:
                assert wiki.ask(target).status == 200
            assert [head.split(b" ")[1] for head in wiki.seen] == list(targets)

    def test_signing_in_begins_here(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            answer = wiki.ask(b"/outpost.goauthentik.io/start?rd=/a", b"Accept: text/html", signed_in=False)
            assert answer["Location"].startswith("https://sso.example.com/application/o/authorize/?")
            assert wiki.ask(b"/outpost.goauthentik.io/ping").status == 204
            assert wiki.seen == []


class TestAttacks:
    def test_nobody_says_who_they_are(self, tmp_path: Path) -> None:
        forged = (
            b"X-authentik-username: admin", b"X-Authentik-Groups: admins", b"X-Forwarded-For: 6.6.6.6",
            b"X-Forwarded-Host: evil.test", b"Connection: close, X-authentik-username, X-Forwarded-For",
        )  # fmt: skip
        with site(tmp_path, trusted=()) as wiki:
            assert wiki.ask_raw(wiki.request(b"/", *forged)).endswith(b"ok")
            told = fields(wiki.seen[0])
        assert told["x-authentik-username"] == ["alice"]
        assert told["x-authentik-groups"] == ["admins|staff"]
        assert told["x-forwarded-for"] == ["127.0.0.1"]
        assert told["x-forwarded-host"] == ["wiki.example.com"]

    @pytest.mark.parametrize("name", [b"X_authentik_username", b"X.Authentik.Username", b"X-authentik_jwt"])
    def test_aliases_are_refused(self, tmp_path: Path, name: bytes) -> None:
        with site(tmp_path) as wiki:
            assert wiki.ask(b"/", name + b": admin").status == 400
            assert wiki.seen == []

    def test_the_application_never_has_the_session(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            token = wiki.cookie()
            raw = wiki.request(b"/", b"Cookie: a=b", b"Cookie: %s; c=d" % token, b"Connection: close", signed_in=False)
            assert wiki.ask_raw(raw).endswith(b"ok")
            assert fields(wiki.seen[0])["cookie"] == ["a=b; c=d"]
            assert b"authentik_proxy" not in wiki.seen[0]

    def test_nor_does_it_set_one(self, tmp_path: Path) -> None:
        planted = b"HTTP/1.1 200 OK\r\nSet-Cookie: authentik_proxy_x=1\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        with site(tmp_path, planted) as wiki:
            assert wiki.ask(b"/").all("Set-Cookie") == ["a=b"]

    @pytest.mark.parametrize(
        "raw",
        [
            b"GET http://other.test/ HTTP/1.1\r\nHost: wiki.example.com\r\n",
            b"GET http://wiki.example.com/ HTTP/1.1\r\nHost: other.test\r\n",
            b"GET / HTTP/1.1\r\nHost: wiki.example.com\r\nHost: other.test\r\n",
            b"GET / HTTP/1.1\r\nHost: wiki.example.com@other.test\r\n",
            b"GET / HTTP/1.1\r\nHost: wiki.example.com/x\r\n",
            b"GET / HTTP/1.1\r\nHost: wiki.example.com:8443\r\n",
            b"GET / HTTP/1.1\r\nHost: x.wiki.example.com\r\n",
            b"GET / HTTP/1.0\r\n",
        ],
    )
    def test_no_other_host_leads_here(self, tmp_path: Path, raw: bytes) -> None:
        with site(tmp_path) as wiki:
            answer = wiki.ask_raw(raw + b"Cookie: " + wiki.cookie() + b"\r\nConnection: close\r\n\r\n")
            assert answer.split(b" ")[1] in {b"400", b"404"}
            assert wiki.seen == []

    @pytest.mark.parametrize(
        "evil", ["x\r\nX-authentik-groups: admins", "x\n\nGET / HTTP/1.1", "x\x00y\r", "\x85\u2028"]
    )
    def test_no_identity_splits_a_request(self, tmp_path: Path, evil: str) -> None:
        person = replace(ALICE, name=evil, email=evil, groups=(evil,), additional_headers=(("X-App", evil),))
        with site(tmp_path) as wiki:
            assert wiki.ask(b"/", signed_in=session(identity=person, id_token=evil)).status == 200
            (head,) = wiki.seen
            told = fields(head)
        assert all(len(values) == 1 for values in told.values())
        assert len(told) == 21
        assert told["x-authentik-username"] == ["alice"]

    @pytest.mark.parametrize(
        "name", ["X-authentik-groups", "Host", "Cookie", "Transfer-Encoding", "Content-Length", "X_A", "a b"]
    )
    def test_no_attribute_sets_what_is_ours(self, tmp_path: Path, name: str) -> None:
        person = replace(ALICE, additional_headers=((name, "evil"),))
        with site(tmp_path) as wiki:
            assert wiki.ask(b"/", signed_in=session(identity=person)).status == 200
            assert b"evil" not in wiki.seen[0]

    def test_a_loop_is_cut(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki:
            around = standing_before(f"http://127.0.0.1:{wiki.port}")
            wiki.commit(**{"provider/p1": around})
            answer = wiki.ask(b"/", b"Accept: text/html")
            assert answer.status == 508
            assert b"leads back to itself" in answer.body


class TestFrontDoor:
    """`garrison serve`: the embedded outpost, and control for every other host."""

    def test_each_host_leads_to_its_own(self, tmp_path: Path) -> None:
        control = tmp_path / "web.sock"
        asked: list[bytes] = []

        def pages(peer: Peer) -> None:
            asked.append(read_head(peer))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontrol")

        with upstream(control, pages), site(tmp_path, control=control) as wiki:
            assert wiki.ask(b"/").body == b"ok"
            other = b"GET / HTTP/1.1\r\nHost: sso.example.com\r\nConnection: close\r\n\r\n"
            assert wiki.ask_raw(other).endswith(b"control")
            assert len(wiki.seen) == len(asked) == 1
            assert wiki.ask(b"/outpost.goauthentik.io/nope").status == 404

    def test_websockets_reach_applications_alone(self, tmp_path: Path) -> None:
        def play(peer: Peer, _: bytes) -> None:
            peer.sendall(SWITCHED + b"\x81\x02hi")
            peer.sendall(peer.recv(6))

        control = tmp_path / "web.sock"
        with upstream(control, lambda _: None), site(tmp_path, play, control=control) as wiki:
            with connect(wiki.port) as client:
                client.sendall(wiki.request(b"/socket", *UPGRADE, b"Sec-WebSocket-Protocol: chat"))
                head = read_head(client)
                assert head.startswith(b"HTTP/1.1 101 ")
                assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
                assert client.recv(4) == b"\x81\x02hi"
                client.sendall(b"\x82\x80abcd")
                assert client.recv(6) == b"\x82\x80abcd"
            told = fields(wiki.seen[0])
            assert told["upgrade"] == ["websocket"]
            assert told["sec-websocket-protocol"] == ["chat"]
            assert told["x-authentik-username"] == ["alice"]

    def test_who_has_no_session_has_no_websocket(self, tmp_path: Path) -> None:
        with site(tmp_path) as wiki, connect(wiki.port) as client:
            client.sendall(wiki.request(b"/socket", *UPGRADE, signed_in=False))
            assert read_head(client).startswith(b"HTTP/1.1 401 ")
            assert wiki.seen == []
