"""curl's corner cases, and byte for byte what no client library would send."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from tests.interop.proxy.asking import authority, curl, curl_command, request, response, wire
from tests.interop.proxy.world import ProxyWorld
from tests.interop.world import PASSWORD
from tests.support.browser_http import Visitor
from tests.support.peers_program import plain_environment, require
from tests.support.upstreams import Call

pytestmark = pytest.mark.interop
TEXT = "".join(f"line {number} of a page\n" for number in range(2000))


@pytest.fixture(scope="module", autouse=True)
def page(world: ProxyWorld) -> None:
    """A file that Apache compresses and cuts. It is old: one of the last second is tagged weakly, until it is older."""
    file = world.pages / "long.txt"
    file.write_text(TEXT)
    os.utime(file, (0, 0))


def test_http_1_0_is_answered_and_the_connection_ends(world: ProxyWorld) -> None:
    reply = curl(world, "gunicorn", "--http1.0", path="/chunks/100")
    assert (reply.code, reply.status) == (0, 200)
    # Nobody told its length, and HTTP/1.0 knows no chunks.
    assert reply.header("Transfer-Encoding") == ""
    assert reply.body.splitlines()[-1] == b"line 99"


def test_http_1_0_with_keep_alive_gets_two_answers_on_one_connection(world: ProxyWorld) -> None:
    site = world.sites["gunicorn"]
    with wire(world) as connection:
        for _ in range(2):
            connection.sendall(request(world, "gunicorn", "GET /x HTTP/1.0", ("Connection", "keep-alive")))
            answer = response(connection)
            assert (answer.status, json.loads(answer.read())["headers"][0]) == (200, ["Host", authority(site)])


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_an_upload_of_unknown_length(world: ProxyWorld, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    reply = curl(world, "gunicorn", "-T", "-", path="/upload", data=body)
    answer = json.loads(reply.body)
    assert (answer["method"], answer["bytes"], answer["digest"]) == ("PUT", size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_who_expects_100_continue_gets_it_once(world: ProxyWorld, size: int) -> None:
    reply = curl(
        world, "gunicorn", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@-",
        data=b"y" * size,
    )  # fmt: skip
    assert [head.split()[1] for head in reply.heads] == ["100", "200"]
    assert json.loads(reply.body)["bytes"] == size


def test_who_may_not_upload_is_told_before_the_upload(world: ProxyWorld) -> None:
    reply = curl(
        world, "gunicorn", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-T", "-", cookies="",
        data=b"z" * 1_000_000,
    )  # fmt: skip
    assert [head.split()[1] for head in reply.heads] in (["401"], ["302"])


@pytest.mark.parametrize(("asked", "body"), [("0-3", "line"), ("-5", "page\n"), ("30000-", TEXT[30000:])])
def test_ranges(world: ProxyWorld, asked: str, body: str) -> None:
    reply = curl(world, "apache", "--range", asked, path="/long.txt")
    assert (reply.status, reply.body.decode()) == (206, body)
    assert reply.header("Content-Range").endswith(f"/{len(TEXT)}")


def test_a_range_beyond_the_end(world: ProxyWorld) -> None:
    assert curl(world, "apache", "--range", "9999999-", path="/long.txt").status == 416


def test_head_has_the_length_and_no_body(world: ProxyWorld) -> None:
    reply = curl(world, "apache", "-I", path="/long.txt")
    assert (reply.code, reply.status, reply.header("Content-Length")) == (0, 200, str(len(TEXT)))


def test_what_has_not_changed_is_304_and_keeps_the_connection(world: ProxyWorld) -> None:
    tag = curl(world, "apache", path="/long.txt").header("ETag")
    with wire(world) as connection:
        for _ in range(2):
            connection.sendall(request(world, "apache", "GET /long.txt HTTP/1.1", ("If-None-Match", tag)))
            answer = response(connection)
            assert (answer.status, answer.read(), answer.getheader("ETag")) == (304, b"", tag)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity"])
def test_compression_is_between_browser_and_application(world: ProxyWorld, coding: str) -> None:
    asked = ["-H", f"Accept-Encoding: {coding}"]
    plain = curl(world, "apache", *asked, path="/long.txt")
    assert plain.header("Content-Encoding") == ("gzip" if coding == "gzip" else "")
    opened = curl(world, "apache", "--compressed", *asked, path="/long.txt")
    assert opened.body.decode() == TEXT


def test_path_as_is(world: ProxyWorld) -> None:
    reply = curl(world, "echo", "--path-as-is", path="/a/../b/./c")
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert reply.seen.path == "/a/../b/./c"


def test_a_post_of_a_form_and_a_file(world: ProxyWorld) -> None:
    form = curl(world, "gunicorn", "-F", "field=value", "-F", "file=@-;filename=x.bin", data=b"\x00" * 70_000)
    answer = json.loads(form.body)
    assert answer["bytes"] > 70_000
    assert dict(answer["headers"])["Content-Type"].startswith("multipart/form-data; boundary=")


def test_many_on_one_connection(world: ProxyWorld) -> None:
    site = world.sites["gunicorn"]
    command = [*curl_command(world, "gunicorn", path="/[1-40]"), "-w", "%{num_connects} "]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30, env=plain_environment())
    assert done.stdout.count(b"HTTP/1.1 200") == 40
    # One for the first, none for the others.
    assert re.findall(rb"\}([01]) ", done.stdout) == [b"1", *[b"0"] * 39], site


def test_pipelined_requests_are_answered_in_turn(world: ProxyWorld) -> None:
    lines = ["GET /first HTTP/1.1", "HEAD /second HTTP/1.1", "POST /third HTTP/1.1", "GET /fourth HTTP/1.1"]
    sent = b"".join(
        request(world, "gunicorn", line, *([("Content-Length", "5")] if "POST" in line else []))
        + (b"12345" if "POST" in line else b"")
        for line in lines
    )
    with wire(world) as connection:
        connection.sendall(sent)
        reader = connection.makefile("rb")
        got = []
        for line in lines:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += reader.readline()
            assert head.startswith(b"HTTP/1.1 200")
            length = int(re.findall(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)[0])
            if "HEAD" not in line:
                answer = json.loads(reader.read(length))
                got.append((answer["method"], answer["path"], answer["bytes"]))
    assert got == [("GET", "/first", 0), ("POST", "/third", 5), ("GET", "/fourth", 0)]


def test_trailers_of_a_request_reach_nobody(world: ProxyWorld) -> None:
    with wire(world) as connection:
        connection.sendall(
            request(
                world, "gunicorn", "POST /t HTTP/1.1", ("Transfer-Encoding", "chunked"), ("Trailer", "X-Late, Cookie")
            )
            + b"5\r\nhello\r\n0\r\nX-Late: 1\r\nX-authentik-username: root\r\nCookie: a=b\r\n\r\n"
        )
        answer = response(connection)
        if answer.status == 400:
            return
        seen = json.loads(answer.read())
        assert (seen["bytes"], dict(seen["headers"])["X-Authentik-Username"]) == (5, "alice")
        assert not {"X-Late", "Cookie"} & set(dict(seen["headers"]))
        connection.sendall(request(world, "gunicorn", "GET /next HTTP/1.1"))
        assert json.loads(response(connection).read())["path"] == "/next"


def test_trailers_of_an_answer_are_dropped_and_the_connection_goes_on(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
            b"5;x=y\r\nhello\r\n0\r\nX-Late: 1\r\nSet-Cookie: a=b\r\n\r\n"
        )

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        for _ in range(2):
            connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
            answered = response(connection)
            assert (answered.status, answered.read()) == (200, b"hello")
            assert answered.getheader("Set-Cookie") is None


def test_interim_answers_pass(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        call.answer(b"late")

    scripted.scripted.answer = answer
    reply = curl(scripted, "scripted")
    assert [head.split()[1] for head in reply.heads] == ["103", "200"]
    assert "Link: </style.css>; rel=preload" in reply.heads[0]
    assert reply.body == b"late"
    # RFC 9110 15.2: never to a client of HTTP/1.0.
    old = curl(scripted, "scripted", "--http1.0")
    assert [head.split()[1] for head in old.heads] == ["200"]


def test_programs_sign_in_with_app_passwords(world: ProxyWorld) -> None:
    visitor = Visitor()
    page = visitor.sign_in(f"{world.garrison.url}/account/app-passwords/new", "alice", PASSWORD)
    made = visitor.submit(page, {"name": "curl"})
    found = re.search(r'id="app-password" value="([^"]+)"', made.text)
    assert found, made.text[:3000]
    reply = curl(world, "echo", "-u", f"alice:{found[1]}", cookies="", path="/api")
    assert reply.seen.identity["username"] == "alice"
    # What let the program in is nothing for the application.
    assert reply.seen.all("Authorization") == []
    wrong = curl(world, "echo", "-u", "alice:wrong", cookies="", path="/api")
    assert (wrong.status, wrong.header("WWW-Authenticate").split()[0]) == (401, "Basic")


def test_curl_finishes_what_it_resumes(world: ProxyWorld) -> None:
    partial = world.folder / "partial.txt"
    partial.write_text(TEXT[:1000])
    site = world.sites["apache"]
    command = [
        require("curl", "curl"), "-sS", "-C", "-", "-o", str(partial), "-H", f"Cookie: {world.cookies('apache')}",
        "--resolve", f"{site.host}:{site.port}:127.0.0.1", f"{site.url}/long.txt",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=30, env=plain_environment())
    assert partial.read_text() == TEXT
