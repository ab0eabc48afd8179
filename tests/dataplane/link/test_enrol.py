"""Enrolment: the good case, and that each failure has its own message. Over real HTTP to a real peer."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.link.enrol import Enrolled, EnrolmentFailed, Failure, enrol, skew_warning
from dataplane.link.keys import token_fingerprint
from dataplane.link.target import Instance, Target
from tests.support.fake_control import FakeControl
from tests.support.peers_program import free_port

INSTANCE = Instance(uid="5b0c", type="proxy", hostname="edge-1", version="0.1.0", build="", started=1_700_000_000.0)


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def attempt(target: Target) -> Enrolled:
    return asyncio.run(enrol(target, INSTANCE, time.time, os.urandom))


def failure(target: Target) -> EnrolmentFailed:
    with pytest.raises(EnrolmentFailed) as caught:
        attempt(target)
    return caught.value


def target_of(control: FakeControl, *, url: str = "", token: str = "", insecure: bool = False) -> Target:
    return Target(url=url or control.url, token=token or control.token, insecure=insecure)


def test_a_token_buys_a_certificate_and_never_travels(control: FakeControl) -> None:
    enrolled = attempt(target_of(control))
    assert "BEGIN CERTIFICATE" in enrolled.credentials.certificate
    assert enrolled.credentials.addresses == (f"localhost:{control.link_port}",)
    assert enrolled.credentials.expires == pytest.approx(time.time() + 24 * 3600, abs=10)
    assert abs(enrolled.skew) < 5
    assert control.token not in str(control.enrolments)
    assert "PRIVATE KEY" not in str(control.enrolments)
    assert "PRIVATE KEY" not in repr(enrolled)
    assert enrolled.credentials.token == token_fingerprint(control.token)


def test_a_path_prefix_of_control_is_kept(control: FakeControl) -> None:
    error = failure(target_of(control, url=control.url + "/auth"))
    assert "answered 404 to POST /-/enrol" in str(error)


def test_link_addresses_can_be_overridden(control: FakeControl) -> None:
    target = Target(url=control.url, token=control.token, link=("127.0.0.1:1",))
    assert attempt(target).credentials.addresses == ("127.0.0.1:1",)


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        ("revoked_token", Failure.REVOKED_TOKEN, "has revoked this token"),
        ("expired_token", Failure.EXPIRED_TOKEN, "this token has expired"),
        ("wrong_type", Failure.WRONG_TYPE, "belongs to an outpost of type ldap: start that type instead"),
        ("bad_request", Failure.REFUSED, "refused the request (403 bad_request): no CSR"),
        ("unauthorised", Failure.REFUSED, "refused the request (403 unauthorised)"),
        ("clock_skew", Failure.CLOCK_SKEW, "can't enrol this host: no CSR; set the clock"),
    ],
)
def test_a_proven_refusal_is_explained(control: FakeControl, code: str, expected: Failure, words: str) -> None:
    control.enrol_error = 403, {"error": code, "expected": "ldap", "detail": "no CSR"}
    error = failure(target_of(control))
    assert error.failure is expected
    assert words in str(error)
    assert control.url in str(error)


def test_an_unknown_token(control: FakeControl) -> None:
    error = failure(target_of(control, token="another"))
    assert error.failure is Failure.UNKNOWN_TOKEN
    assert str(error) == (
        f"control at {control.url} does not know this token: copy AUTHENTIK_TOKEN again from the outpost's page"
    )


def test_a_request_that_was_altered(control: FakeControl) -> None:
    control.enrol_error = 401, {"error": "bad_mac"}
    assert failure(target_of(control)).failure is Failure.ALTERED


@pytest.mark.parametrize("status", [429, 503])
def test_a_control_that_is_not_ready(control: FakeControl, status: int) -> None:
    control.enrol_error = status, {"error": "busy"}
    assert failure(target_of(control)).failure is Failure.NOT_READY


UNPROVEN = [
    (200, {}),
    *((403, {"error": code}) for code in ("revoked_token", "anything_else")),
    *((401, {"error": code}) for code in ("revoked_token", "expired_token", "wrong_type", "clock_skew")),
    *((status, {"error": "revoked_token"}) for status in (400, 404, 500, 503)),
]


@pytest.mark.parametrize(("status", "said"), UNPROVEN)
def test_a_host_that_cannot_prove_the_token(
    control: FakeControl, status: int, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "prove", lambda *_: "0" * 64)
    control.enrol_error = (status, said) if said else None
    error = failure(target_of(control))
    assert error.failure is Failure.NOT_CONTROL
    assert str(error) == (
        f"the host at {control.url} can't prove that it knows the token: it is not this outpost's control plane"
    )


def test_a_replayed_answer_proves_nothing(control: FakeControl, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = control.prove(b"the nonce of yesterday")
    monkeypatch.setattr(control, "prove", lambda *_: fixed)
    assert failure(target_of(control)).failure is Failure.NOT_CONTROL


def test_an_address_with_a_path_that_control_does_not_have(control: FakeControl) -> None:
    control.enrol_error = 404, {"error": "not_found"}
    error = failure(target_of(control))
    assert error.failure is Failure.NOT_CONTROL
    assert "has nothing at /-/enrol below that address (404): set AUTHENTIK_HOST" in str(error)


def test_an_answer_that_makes_no_sense(control: FakeControl) -> None:
    control.enrol_error = 200, {"certificate": "no"}
    error = failure(target_of(control))
    assert error.failure is Failure.REFUSED
    assert "can't be used" in str(error)


def test_a_host_name_that_does_not_exist(control: FakeControl) -> None:
    error = failure(target_of(control, url="http://control.invalid"))
    assert str(error) == "control at http://control.invalid can't be reached: the host name can't be resolved"


def test_a_refused_connection() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    error = failure(Target(url=url, token="t"))
    assert (error.failure, str(error)) == (
        Failure.UNREACHABLE,
        f"control at {url} can't be reached: connection refused",
    )


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    error = failure(Target(url="", token="t", socket=str(tmp_path / "none.sock")))
    assert f"control at unix:{tmp_path}/none.sock can't be reached" in str(error)


def test_a_certificate_that_cannot_be_verified() -> None:
    secure = FakeControl()
    secure.https = secure.authority.issue("localhost")
    with secure:
        error = failure(target_of(secure))
        assert error.failure is Failure.TLS
        assert "AUTHENTIK_INSECURE=true accepts any" in str(error)
        assert attempt(target_of(secure, insecure=True)).credentials.name == "edge"


def test_tls_to_a_port_without_it(control: FakeControl) -> None:
    error = failure(target_of(control, url=control.url.replace("http:", "https:")))
    assert error.failure is Failure.TLS
    assert "doesn't speak TLS" in str(error)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is no HTTP response"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "can't prove that it knows the token"),
        (b"HTTP/1.1 405 No\r\nContent-Length: 4\r\n\r\nnope", "answered 405 to POST /-/enrol"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://auth.example.com/-/enrol\r\nContent-Length: 0\r\n\r\n",
            "redirects to https://auth.example.com: set AUTHENTIK_HOST to that",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\noops!", "is not ready (HTTP 502)"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_100_000, "the answer is longer than"),
    ],
)
def test_a_host_that_is_no_control_plane(answer: bytes, words: str) -> None:
    with canned(answer) as url:
        assert words in str(failure(Target(url=url, token="t")))


def test_enrolment_over_controls_own_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "web.sock")
    answer = b'HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n{"error": "unknown_token"}\r\n0\r\n\r\n'
    with canned(answer, path):
        error = failure(Target(url="", token="t", socket=path))
    assert str(error).startswith(f"control at unix:{path} does not know this token")


class canned:  # noqa: N801  reads as a function
    """A server that answers anything with the same bytes, over TCP or at a path."""

    def __init__(self, answer: bytes, path: str = "") -> None:
        self._answer = answer
        if path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(path)
            self._socket.listen()
        else:
            self._socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        # A thread that waits in accept keeps a socket that is only closed.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
                self._answer_one(peer)
            except OSError:
                return

    def _answer_one(self, peer: socket.socket) -> None:
        with peer:
            received = b""
            while not received.endswith(b"}"):
                received += peer.recv(65536)
            try:
                peer.sendall(self._answer)
            except OSError:
                # The client had enough of it.
                return


@pytest.mark.parametrize(
    ("skew", "words"),
    [(0.0, None), (60.0, None), (-60.0, None), (61.0, "61 s behind control's"), (-90.0, "90 s ahead of control's")],
)
def test_skew_of_more_than_a_minute_is_said(skew: float, words: str | None) -> None:
    warning = skew_warning(skew, 1_700_000_000.0)
    assert (warning is None) if words is None else (warning is not None and words in warning)
