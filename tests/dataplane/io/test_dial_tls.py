"""TLS to upstreams: a real authority, real servers, and all that can be wrong with them."""

import socket
import ssl

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent import ssl as gevent_ssl
from gevent.event import Event

from dataplane.io.dial import Upstream, dial
from dataplane.io.tls_client import ClientTls
from tests.dataplane.io.doors import OWN, Peer, Play, echo, hold, reset, there
from tests.dataplane.io.lines import until
from tests.dataplane.io.upstreams import authority, certificate, secured, server_tls, way
from tests.support.fake_authority import Authority, Pair

BIG = 3_000_000
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def refused(tls: ClientTls, pair: Pair) -> str:
    with secured(echo, server_tls(pair)) as address, pytest.raises(ssl.SSLCertVerificationError) as error:
        dial(address, 5, tls)
    return error.value.verify_message


def bounce(upstream: Upstream, data: bytes = b"x") -> None:
    upstream.write(data, 5)
    got = b""
    while len(got) < len(data):
        piece = upstream.read(5)
        assert piece
        got += piece
    assert got == data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["app.example", "127.0.0.1"])
def test_speaks_to_who_bears_the_name(name: str, version: ssl.TLSVersion) -> None:
    context = server_tls(certificate())
    context.minimum_version = context.maximum_version = version
    with secured(echo, context) as address, dial(address, 5, way(name)) as upstream:
        bounce(upstream)
        assert upstream._tls is not None
        assert upstream._tls._object.selected_alpn_protocol() == "http/1.1"


def test_names_go_as_sni_and_addresses_do_not() -> None:
    seen: list[str | None] = []
    context = server_tls(certificate())
    context.sni_callback = lambda _, name, __: seen.append(name)
    with secured(echo, context) as address:
        for name in ("app.example", "127.0.0.1"):
            dial(address, 5, way(name)).close()
    assert seen == ["app.example", None]


def test_what_does_not_hold() -> None:
    issue = authority().issue
    assert "Hostname mismatch" in refused(way(), issue("other.example"))
    assert "IP address mismatch" in refused(way("127.0.0.1"), issue("app.example", "10.0.0.1"))
    assert "expired" in refused(way(), issue("app.example", hours=-0.5))
    assert "certificate signature failure" in refused(way(), Authority().issue("app.example"))  # of the same name
    assert "self-signed" in refused(way("localhost"), Pair(*OWN))
    assert "self-signed" in refused(way("localhost", trusted=""), Pair(*OWN))


def test_without_validation_anybody_is_believed() -> None:
    for pair in (authority().issue("other.example", hours=-0.5), Pair(*OWN)):
        with secured(echo, server_tls(pair)) as address, dial(address, 5, way(verify=False)) as upstream:
            bounce(upstream)


def test_a_certificate_that_is_no_authority_counts_for_itself() -> None:
    pair = authority().issue("app.example")
    for trusted, name, shown in ((OWN[0], "localhost", Pair(*OWN)), (pair.certificate, "app.example", pair)):
        with (
            secured(echo, server_tls(shown)) as address,
            dial(address, 5, way(name, trusted=trusted)) as upstream,
        ):
            bounce(upstream)
    assert "unable to get" in refused(way(trusted=pair.certificate), certificate())


def test_what_is_older_than_tls_1_2_is_refused() -> None:
    context = server_tls(certificate())
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with secured(echo, context) as address, pytest.raises(ssl.SSLError, match="protocol version"):
        dial(address, 5, way())


# Client certificates


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_is_shown_to_who_asks(version: ssl.TLSVersion) -> None:
    clients = Authority()
    context = server_tls(certificate(), clients)
    context.minimum_version = context.maximum_version = version
    with secured(echo, context) as address, dial(address, 5, way(shown=clients.issue("garrison"))) as upstream:
        bounce(upstream)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shown", [None, Authority().issue("garrison")])
def test_who_has_none_or_another_is_sent_away(version: ssl.TLSVersion, shown: Pair | None) -> None:
    """In TLS 1.3 that shows only once something is asked (RFC 8446 section 4.4.2.4)."""
    context = server_tls(certificate(), Authority())
    context.minimum_version = context.maximum_version = version
    with (
        secured(echo, context) as address,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        dial(address, 5, way(shown=shown)) as upstream,
    ):
        bounce(upstream)


# Handshakes that come to nothing


def test_who_never_shakes_hands_is_late() -> None:
    with there(hold) as address, dial(address, 5) as upstream, pytest.raises(TimeoutError, match="handshake"):
        upstream.secure(way(), 0.02)


def test_who_speaks_no_tls() -> None:
    plain, words = b"HTTP/1.1 400 Bad Request\r\n\r\n", r"wrong version number|record layer failure"
    with there(lambda peer: peer.sendall(plain)) as address, pytest.raises(ssl.SSLError, match=words):
        dial(address, 5, way())


@pytest.mark.parametrize("end", [lambda peer: peer.shutdown(socket.SHUT_WR), reset])
def test_who_ends_in_the_handshake(end: Play) -> None:
    def play(peer: Peer) -> None:
        peer.recv(1)
        end(peer)
        gevent.sleep(0.1)

    with there(play) as address, pytest.raises(ssl.SSLError):
        dial(address, 5, way())


# What is carried


def test_much_goes_both_ways_at_once() -> None:
    with secured(echo) as address, dial(address, 5, way()) as upstream:
        sending = gevent.spawn(upstream.write, bytes(BIG), 5.0)
        got = 0
        while got < BIG:
            got += len(upstream.read(5))
        sending.get(timeout=30)


def test_what_has_come_is_read_at_once_however_many_records_it_is() -> None:
    def play(peer: Peer) -> None:
        peer.sendall(bytes(70_000))
        peer.recv(1)

    with secured(play) as address, dial(address, 5, way()) as upstream:
        pieces = [len(upstream.read(5))]
        while sum(pieces) < 70_000:
            pieces.append(len(upstream.read(5)))
        assert max(pieces) > 16384  # more than a record has room for


def test_a_record_that_was_tampered_with_is_an_error_after_what_came_before_it() -> None:
    def play(peer: gevent_ssl.SSLSocket) -> None:
        peer.sendall(b"whole")
        gevent_socket.socket.send(peer, b"\x17\x03\x03\x00\x20" + bytes(32))  # below TLS: a record of nobody's
        hold(peer)

    with secured(play) as address, dial(address, 5, way()) as upstream:  # type: ignore[arg-type]  # a TLS socket
        gevent.sleep(0.01)  # both are read from the socket at once
        assert upstream.read(5) == b"whole"
        with pytest.raises((ssl.SSLError, ConnectionAbortedError)):
            upstream.read(5)


def test_a_goodbye_is_an_end_and_a_cut_is_an_error() -> None:
    def goodbye(peer: gevent_ssl.SSLSocket) -> None:
        peer.sendall(b"whole")
        peer.unwrap()

    def cut(peer: gevent_ssl.SSLSocket) -> None:
        peer.sendall(b"half")
        peer.shutdown(socket.SHUT_WR)

    with secured(goodbye) as address, dial(address, 5, way()) as upstream:  # type: ignore[arg-type]  # a TLS socket
        assert upstream.read(5) == b"whole"
        assert upstream.read(5) == b""
    with secured(cut) as address, dial(address, 5, way()) as upstream:  # type: ignore[arg-type]  # a TLS socket
        assert upstream.read(5) == b"half"
        with pytest.raises(ConnectionAbortedError, match="cut off"):
            upstream.read(5)


def test_our_own_end_is_a_goodbye_too() -> None:
    seen: list[bytes] = []

    def play(peer: Peer) -> None:
        seen.append(peer.recv(1))  # of TLS that is cut off this raises

    with secured(play) as address:
        dial(address, 5, way()).close()
        until(lambda: bool(seen))
    assert seen == [b""]


def test_an_answer_still_comes_after_our_own_end() -> None:
    def play(peer: Peer) -> None:
        while peer.recv(100):
            continue
        peer.sendall(b"answer")

    with secured(play) as address, dial(address, 5, way()) as upstream:
        upstream.write(b"question", 5)
        upstream.half_close()
        assert upstream.read(5) == b"answer"


# At rest, and again


def test_tickets_at_rest_are_no_word_and_words_are() -> None:
    speak = Event()

    def play(peer: Peer) -> None:  # a server of TLS 1.3 sends tickets with its first word at the latest
        peer.sendall(peer.recv(1))
        speak.wait()
        peer.sendall(b"unasked")
        peer.recv(1)

    noticed: list[Upstream] = []
    with secured(play) as address, dial(address, 5, way()) as upstream:
        upstream.rest(noticed.append)
        gevent.sleep(0.01)
        assert not upstream.is_stale()
        upstream.stir()
        bounce(upstream)
        upstream.rest(noticed.append)
        assert not upstream.is_stale()
        speak.set()
        until(lambda: bool(noticed))
        assert upstream.is_stale()


def test_what_comes_after_an_answer_is_seen_without_a_rest() -> None:
    go_on = Event()

    def play(peer: Peer) -> None:
        peer.sendall(b"answer")
        go_on.wait()
        peer.sendall(b"another")
        hold(peer)

    with secured(play) as address, dial(address, 5, way()) as upstream:
        assert upstream.read(5) == b"answer"
        assert not upstream.is_stale()
        go_on.set()
        until(upstream.is_stale)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_after_an_answer(version: ssl.TLSVersion) -> None:
    context = server_tls(certificate())
    context.minimum_version = context.maximum_version = version
    tls = way()
    resumed = []
    with secured(echo, context) as address:
        for _ in range(3):
            with dial(address, 5, tls) as upstream:
                bounce(upstream)
                upstream.rest(lambda _: None)
                assert upstream._tls is not None
                resumed.append(upstream._tls.resumed)
    assert resumed == [False, True, True]


def test_a_session_is_of_no_use_to_another_name() -> None:
    """What was proven for one name is kept with that one, not with the context."""
    first = way()
    with secured(echo) as address:
        with dial(address, 5, first) as upstream:
            bounce(upstream)
            upstream.rest(lambda _: None)
        other = ClientTls(context=first.context, server_name="other.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            dial(address, 5, other)
