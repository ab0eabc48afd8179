"""Applications that are away, die, hang, or aren't who they ought to be: what a browser sees, and that it passes."""

import json
import socket
from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.interop.proxy.asking import BROWSER, PROGRAM, curl, get, request, response, wire
from tests.interop.proxy.world import INTERNAL, ProxyWorld
from tests.support.peers import seen_by_application
from tests.support.peers_program import eventually
from tests.support.upstreams import Call, start_gunicorn

pytestmark = pytest.mark.interop
PART = b"the first part"
HEADS = {
    "length": b"Content-Length: 1000\r\n\r\n" + PART,
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(PART), PART),
    "within-a-chunk": b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + PART,
    "until-the-end": b"\r\n" + PART,
}
MINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


@pytest.mark.parametrize("name", ["nobody", "tls-wrong-name", "tls-unknown", "mutual-without"])
def test_an_application_that_cannot_be_reached_is_502(world: ProxyWorld, name: str) -> None:
    page = get(world, name, "/", BROWSER)
    assert (page.status, page.header("Content-Type").split(";")[0]) == (502, "text/html")
    assert page.header("X-Request-Id") in page.text
    problem = get(world, name, "/", PROGRAM)
    assert (problem.status, "json" in problem.header("Content-Type")) == (502, True)
    assert json.loads(problem.body)
    assert "127.0.0.1" not in page.text + problem.text, "only superusers are told the address"
    head = get(world, name, "/", BROWSER, method="HEAD")
    assert (head.status, head.body) == (502, b"")


@pytest.mark.parametrize(
    ("name", "told"),
    [("nobody", "refused"), ("tls-wrong-name", "other.internal.test"), ("tls-unknown", "certificate")],
)
def test_superusers_are_told_what_is_wrong(world: ProxyWorld, name: str, told: str) -> None:
    reply = curl(world, name, "-H", "Accept: text/html", cookies=world.session(name, "root"))
    assert reply.status == 502
    told_all = reply.body.decode()
    assert "127.0.0.1" in told_all, told_all
    assert told in told_all, told_all


@pytest.mark.parametrize("name", ["tls", "tls-unverified", "mutual"])
def test_applications_with_tls_are_reached(world: ProxyWorld, name: str) -> None:
    (world.pages / "tls.txt").write_text("over TLS")
    answer = get(world, name, "/tls.txt")
    assert (answer.status, answer.text) == (200, "over TLS")
    assert answer.header("X-Server-Name") == INTERNAL
    assert answer.header("X-Client-Certificate") == ("garrison-outpost" if name == "mutual" else "")


def test_the_next_address_serves_while_the_first_is_dead(world: ProxyWorld) -> None:
    for number in range(10):
        answer = get(world, "several", f"/{number}")
        assert (answer.status, seen_by_application(answer.body).path) == (200, f"/{number}")
    reply = curl(world, "several", "-X", "POST", "--data-binary", "@-", data=b"a body")
    assert reply.seen.method == "POST"


def test_a_name_with_an_address_that_is_dead_costs_no_time(world: ProxyWorld) -> None:
    # localhost is ::1 too, where nobody listens.
    assert seen_by_application(get(world, "named").body).path == "/"


def test_an_application_that_hangs_is_504(scripted: ProxyWorld) -> None:
    scripted.scripted.answer = lambda call: call.ended(20)
    page = get(scripted, "impatient", "/", BROWSER)
    assert (page.status, page.header("Content-Type").split(";")[0]) == (504, "text/html")
    assert page.header("X-Request-Id") in page.text


def test_a_body_that_stops_is_torn(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + PART)
        call.ended(20)

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "impatient", "GET / HTTP/1.1"))
        assert_torn(connection)


def assert_torn(connection: socket.socket) -> None:
    """What comes is the part that was sent, and no end."""
    answered = response(connection)
    assert answered.status == 200
    with pytest.raises((IncompleteRead, ConnectionError)):
        answered.read()


def dying(how: str) -> Callable[[Call], None]:
    """An application that dies in the middle of its answer."""

    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\n" + HEADS[how])
        call.ended(0.1)
        call.reset()

    return answer


@pytest.mark.parametrize("how", HEADS)
def test_an_application_that_dies_in_the_middle_leaves_a_torn_answer(scripted: ProxyWorld, how: str) -> None:
    scripted.scripted.answer = dying(how)
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
        assert_torn(connection)


@pytest.mark.parametrize("how", ["chunked", "within-a-chunk", "until-the-end"])
def test_a_client_of_http_1_0_sees_a_torn_answer_too(scripted: ProxyWorld, how: str) -> None:
    """It has nothing but the connection's end to go by: that has to be a reset."""
    scripted.scripted.answer = dying(how)
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.0"))
        answered = response(connection)
        with pytest.raises(ConnectionError):
            answered.read()


def test_an_answer_that_ends_with_its_connection_is_whole(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + PART)
        call.connection.shutdown(socket.SHUT_RDWR)

    scripted.scripted.answer = answer
    assert get(scripted, "scripted").body == PART


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 99 What\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
    ],
    ids=["ssh", "two-lengths", "length-and-chunked", "negative", "nul", "unasked-101", "99", "version"],
)
def test_an_answer_that_is_none_is_502(scripted: ProxyWorld, garbage: bytes) -> None:
    def answer(call: Call) -> None:
        call.send(garbage)
        call.connection.shutdown(socket.SHUT_RDWR)

    scripted.scripted.answer = answer
    assert get(scripted, "scripted", "/", BROWSER).status == 502


def test_what_follows_an_answer_unasked_is_nobodys_answer(scripted: ProxyWorld) -> None:
    scripted.scripted.answer = lambda call: call.send(MINE + FORGED)
    for _ in range(5):
        assert get(scripted, "scripted").body == b"mine"


def test_what_comes_unasked_on_a_connection_at_rest_ends_it(scripted: ProxyWorld) -> None:
    """The next request waits for that end: what came behind it could be told from its answer by nobody."""
    ended: SimpleQueue[bool] = SimpleQueue()

    def answer(call: Call) -> None:
        call.send(MINE)
        call.send(FORGED)
        ended.put(call.ended(within=30))

    scripted.scripted.answer = answer
    for _ in range(5):
        assert get(scripted, "scripted").body == b"mine"
        assert ended.get(timeout=40)


def test_a_connection_that_ended_while_it_was_idle_costs_nobody_an_error(world: ProxyWorld) -> None:
    application = world.restarted
    for _ in range(3):
        application.start()
        for _ in range(3):
            assert get(world, "restarted").body == b"well"
        application.stop()
    assert get(world, "restarted").status == 502


def test_an_application_that_closes_each_kept_connection_upon_the_next_request(scripted: ProxyWorld) -> None:
    """The race that every pool has: a request that meets the end of its connection is sent again, where it may be."""
    served: list[socket.socket] = []

    def answer(call: Call) -> None:
        if call.connection in served:
            call.reset()
        else:
            served.append(call.connection)
            call.answer(b"well")

    scripted.scripted.answer = answer
    assert [get(scripted, "scripted", f"/{number}").status for number in range(10)] == [200] * 10


def test_what_is_not_idempotent_is_never_sent_twice(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        if call.line.startswith("POST"):
            call.reset()
        else:
            call.answer(b"well")

    scripted.scripted.answer = answer
    assert get(scripted, "scripted").status == 200
    scripted.scripted.calls.clear()
    assert curl(scripted, "scripted", "--data-binary", "@-", data=b"pay 5 euros").status == 502
    assert scripted.scripted.calls == ["POST / HTTP/1.1"]


def test_a_server_of_others_is_killed_and_comes_back(world: ProxyWorld, tmp_path: Path) -> None:
    port = world.ports.killed
    program = start_gunicorn(tmp_path / "first", port)
    with wire(world) as connection:
        connection.sendall(request(world, "killed", f"GET /zeros/{1 << 30} HTTP/1.1"))
        answered = response(connection)
        assert (answered.status, len(answered.read(100_000))) == (200, 100_000)
        program.kill()
        with pytest.raises((IncompleteRead, ConnectionError)):
            answered.read()
    assert get(world, "killed").status == 502
    again = start_gunicorn(tmp_path / "second", port)
    eventually(lambda: get(world, "killed").status == 200, "it is reached again", within=10)
    assert again.stop() == 0
