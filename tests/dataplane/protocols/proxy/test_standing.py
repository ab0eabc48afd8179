"""Mode proxy from end to end: what the application gets, what the client gets, and who is turned away."""

from pathlib import Path

from tests.dataplane.protocols.proxy.standing import site


def test_who_is_signed_in_gets_the_application(tmp_path: Path) -> None:
    with site(tmp_path) as wiki:
        answer = wiki.ask(b"/page?x=1")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nok")
        (head,) = wiki.seen
        assert head.startswith(b"GET /page?x=1 HTTP/1.1\r\nHost: wiki.example.com\r\n")
        assert b"\r\nX-authentik-username: alice\r\n" in head


def test_who_is_not_is_sent_to_sign_in(tmp_path: Path) -> None:
    with site(tmp_path) as wiki:
        answer = wiki.ask(b"/page?x=1", b"Accept: text/html", signed_in=False)
        assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
        assert b"/outpost.goauthentik.io/start?rd=https%3A%2F%2Fwiki.example.com%2Fpage%3Fx%3D1\r\n" in answer
        assert wiki.seen == []
