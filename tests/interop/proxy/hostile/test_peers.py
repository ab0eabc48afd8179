"""The HTTP listeners of a worker as curl, openssl and HAProxy meet them: TLS, versions of HTTP, the PROXY protocol."""

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.garrison import short_folder
from tests.support.hostile_program import Settings, Worker
from tests.support.hostile_recorder import Recorded, Recorder
from tests.support.peers import await_ports
from tests.support.peers_program import Program, free_port, require

pytestmark = pytest.mark.interop
ASK = b"GET /page HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
UNSERVED = "HTTP/2 is not served here, HTTP/1.1 and 1.0 are"
HAPROXY = """
global
    log stderr local0 notice
defaults
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen v1
    mode tcp
    bind 127.0.0.1:{ports[0]}
    server worker 127.0.0.1:{http} send-proxy check inter 50
listen v2
    mode tcp
    bind 127.0.0.1:{ports[1]}
    server worker 127.0.0.1:{http} send-proxy-v2 check inter 50
listen http
    mode http
    bind 127.0.0.1:{ports[2]}
    server worker 127.0.0.1:{http} send-proxy-v2 proxy-v2-options unique-id
listen tls
    mode tcp
    bind 127.0.0.1:{ports[3]}
    server worker 127.0.0.1:{https} send-proxy-v2
"""


@dataclass
class Place:
    """One worker in mode proxy, and what is behind it."""

    worker: Worker
    recorder: Recorder

    def clients(self) -> list[str]:
        """Whom the application was told of since the last time."""
        seen = [each for each in self.recorder.take() if isinstance(each, Recorded)]
        return [address for each in seen for address in each.all("x-forwarded-for")]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with short_folder() as folder:
        recorder = Recorder(folder / "application")
        worker = Worker(Settings(folder=str(folder), application=recorder.port))
        yield Place(worker, recorder)
        worker.program.stop()
        recorder.close()


@pytest.fixture(scope="module")
def haproxy(place: Place) -> Iterator[list[int]]:
    """HAProxy before it: version 1, version 2, version 2 from HTTP, version 2 before TLS."""
    ports = [free_port() for _ in range(4)]
    with short_folder() as folder:
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(ports=ports, http=place.worker.http, https=place.worker.https))
        program = Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(config)])
        await_ports(program, ports)
        place.clients()
        yield ports
        program.kill()


def exchange(port: int, raw: bytes, *, tls: bool = False, source: str = "127.0.0.1") -> bytes:
    """What comes until the end, which has to come soon."""
    plain = socket.create_connection(("127.0.0.1", port), 5, source_address=(source, 0))
    with plain, trusting(["h2"]).wrap_socket(plain, server_hostname="app.test") if tls else plain as peer:
        peer.sendall(raw)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
        return answer


def trusting(protocols: list[str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context


def run(program: str, package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [require(program, package), *arguments]
    return subprocess.run(command, capture_output=True, text=True, input="", timeout=20, check=False)


@pytest.mark.parametrize("tls", [False, True])
def test_who_speaks_http_2_unasked_is_told_in_plain_words(place: Place, *, tls: bool) -> None:
    port = place.worker.https if tls else place.worker.http
    head, _, body = exchange(port, PREFACE, tls=tls).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 505 ")
    assert json.loads(body)["message"] == UNSERVED


def test_curl_that_would_rather_have_http_2_gets_1_1(place: Place) -> None:
    url = f"https://app.test:{place.worker.https}/page"
    options = ["-sSk", "--http2", "--resolve", f"app.test:{place.worker.https}:127.0.0.1", "-H", "Host: app.test"]
    done = run("curl", "curl", *options, "-w", " %{http_version} %{http_code}", url)
    assert done.stdout == "recorded 1.1 200", done.stderr


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
@pytest.mark.parametrize("name", ["app.test", "other.test"])
def test_openssl_resumes_its_session(place: Place, tmp_path: Path, version: str, name: str) -> None:
    to = ["s_client", "-connect", f"127.0.0.1:{place.worker.https}", "-servername", name, f"-{version}", "-ign_eof"]
    session = str(tmp_path / "session")
    said = tmp_path / "said"
    said.write_bytes(ASK)
    for option, word in (("-sess_out", "New, TLSv1"), ("-sess_in", "Reused, TLSv1")):
        with said.open("rb") as words:
            command = [require("openssl", "openssl"), *to, option, session]
            done = subprocess.run(command, stdin=words, capture_output=True, timeout=20, check=False)
        assert word.encode() in done.stdout, done.stdout[-2000:]
        assert b"HTTP/1.1 " in done.stdout


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_openssl_is_refused_with_an_old_version(place: Place, version: str) -> None:
    to = ["s_client", "-connect", f"127.0.0.1:{place.worker.https}", f"-{version}", "-cipher", "ALL:@SECLEVEL=0"]
    done = run("openssl", "openssl", *to)
    assert done.returncode != 0
    assert "protocol version" in done.stderr


def test_what_goes_to_the_wrong_port_ends_at_once(place: Place) -> None:
    began = time.monotonic()
    assert not exchange(place.worker.https, ASK).startswith(b"HTTP/1.1 200")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exchange(place.worker.http, ASK, tls=True)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("number", range(4))
def test_behind_haproxy_the_client_is_who_it_says(place: Place, haproxy: list[int], number: int) -> None:
    answer = exchange(haproxy[number], ASK, tls=number == 3, source="127.0.0.77")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert place.clients() == ["127.0.0.77"]
    assert not {"proxy_header", "internal_error", "proxy_header_timeout"} & set(place.worker.counts)
