"""The server as a worker runs it, on real sockets, in a process of its own where gevent has patched everything."""

import subprocess
import sys
from dataclasses import replace

import gevent
import pytest

from dataplane.config import Edit
from dataplane.protocols.proxy.server import ProxyServer, ProxySettings
from tests.dataplane.protocols.proxy.builders import OPTIONS, WIKI, Clock, Randomness, TableGate
from tests.dataplane.protocols.proxy.servers import connect, fetch, read_all, read_head, running

PING = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n"


def test_pipelined_requests_are_answered_in_order() -> None:
    with running() as (_, port), connect(port) as client:
        client.sendall(PING * 100 + PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(client).count(b"HTTP/1.1 204 No Content\r\n") == 101


def test_a_config_takes_effect_on_open_connections() -> None:
    ask = b"GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\nX-Original-URL: https://wiki.example.com/\r\n\r\n"
    with running() as (server, port), connect(port) as client:
        client.sendall(ask)
        assert read_head(client).startswith(b"HTTP/1.1 503 ")
        server.commit(server.prepare(Edit(changed={"options": OPTIONS, "provider/p1": WIKI}))[0])
        client.recv(65536)
        client.sendall(ask)
        assert read_head(client).startswith(b"HTTP/1.1 401 ")


def test_a_broken_request_is_answered_and_closed() -> None:
    with running() as (_server, port):
        response, body = fetch(port, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert response.status_code == 400
        assert b"more than one Host header" in body
        with connect(port) as client:
            client.sendall(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 414 ")


OPEN = replace(WIKI, skip_path_regex=("^/public",))
CHECK = b"GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\nX-Original-URL: https://wiki.example.com/%s\r\n\r\n"


@pytest.mark.parametrize(("question", "status"), [(PING, b"204"), (CHECK % b"public", b"200"), (CHECK % b"", b"401")])
def test_in_a_drain_whoever_asks_is_told_that_it_was_the_last_time(question: bytes, status: bytes) -> None:
    """Without it a client sends its next request into a connection that is being closed."""
    with running() as (server, port), connect(port) as client:
        server.commit(server.prepare(Edit(changed={"options": OPTIONS, "provider/p1": OPEN}))[0])
        client.sendall(PING)
        assert b"Connection: close" not in read_head(client)
        draining = gevent.spawn(server.drain, 5)
        gevent.sleep(0)
        client.sendall(question * 2)
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.count(b"Connection: close\r\n") == 1
        assert answer.count(b"HTTP/1.1 ") == 1
        client.close()
        draining.get(timeout=30)


def test_a_bad_setting_is_named() -> None:
    settings = ProxySettings(version="1", trusted_cidrs=("nonsense",))
    with pytest.raises(ValueError, match="AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS"):
        ProxyServer(settings, TableGate(), Clock(), Randomness())


def test_another_workers_sign_out_is_heard() -> None:
    server = ProxyServer(ProxySettings(version="1"), TableGate(), Clock(), Randomness())
    server.end_here("s1", 2e9)
    server.commit(server.prepare(Edit())[0])
    assert server._doors.sessions._ended_here == {"s1": 2e9}


PATCHED = """
from gevent import monkey
monkey.patch_all()
import socket, ssl, sys, time, secrets, threading
from dataplane.protocols.proxy.server import ProxyServer, ProxySettings
from tests.dataplane.protocols.proxy.builders import TableGate
server = ProxyServer(ProxySettings(version="1"), TableGate(), time.time, secrets.token_bytes)
ports = []
for tls in (False, True):
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    server.serve(listener, tls=tls)
    ports.append(listener.getsockname()[1])
request = b"GET /outpost.goauthentik.io/ping HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
for port, wrap in zip(ports, (lambda s: s, lambda s: context.wrap_socket(s, server_hostname="a.test"))):
    with wrap(socket.create_connection(("127.0.0.1", port), 5)) as client:
        client.sendall(request)
        print(client.recv(100).split(b"\\r\\n")[0].decode())
server.drain(1)
"""


def test_it_runs_where_gevent_has_patched_everything() -> None:
    """As in a worker: gevent's ssl overrides the callback for server names, which memory buffers can't use."""
    done = subprocess.run([sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:2] == ["HTTP/1.1 204 No Content"] * 2, done.stderr
