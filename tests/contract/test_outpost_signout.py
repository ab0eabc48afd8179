"""A sign-out while control is away: it bites in every worker at once, outlives a restart, and reaches control."""

import http.client
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dataplane.config import ProxyProvider
from dataplane.gate import Identity, ProxySession
from dataplane.link.reading import resource
from dataplane.protocols.proxy.cookies import Sealer, cookie_name, seal_session, split_token
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess

HOST = "wiki.example.com"
ALICE = Identity(
    subject="u1", username="alice", name="Alice", email="", groups=(), entitlements=(), additional_headers=()
)


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def cookie_for(control: FakeControl, session: str) -> str:
    """A cookie as the outpost itself would have set it."""
    config = resource(control.resources["provider/wiki"].SerializeToString())
    assert isinstance(config, ProxyProvider)
    now = time.time()
    signed_in = ProxySession(id=session, identity=ALICE, authenticated=now - 60, expires=now + 3600, id_token="a.b.c")
    (token,) = split_token(seal_session(Sealer(config.id, config.session_keys, os.urandom), signed_in))
    return f"{cookie_name(config.client_id).decode()}={token.decode()}"


def ask(outpost: OutpostProcess, path: str, cookie: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=30)
    headers = {"Host": HOST, "X-Original-URL": f"https://{HOST}/", "X-Forwarded-Proto": "https", "Cookie": cookie}
    with closing(connection):
        connection.request("GET", f"/outpost.goauthentik.io/{path}", headers=headers)
        return connection.getresponse().status


def checks(outpost: OutpostProcess, cookie: str) -> set[int]:
    """What many new connections are told, so that every worker is among those that answer."""
    return {ask(outpost, "auth/nginx", cookie) for _ in range(24)}


def test_a_sign_out_while_control_is_away(control: FakeControl, tmp_path: Path) -> None:
    revision = control.hold(options(), provider())
    alice, other = cookie_for(control, "s1"), cookie_for(control, "s2")
    with OutpostProcess(tmp_path, control.environment(), workers=2) as outpost:
        control.settled(revision)
        eventually(lambda: outpost.metrics().get("garrison_outpost_workers") == 2, "two workers")
        assert checks(outpost, alice) == {200}
        control.stop_link()
        assert ask(outpost, "sign_out", alice) == 302
        eventually(lambda: checks(outpost, alice) == {401}, "the session has ended in every worker")
        assert checks(outpost, other) == {200}
        assert outpost.metrics()["garrison_outpost_queued_sign_outs"] == 1

        outpost.signal(signal.SIGTERM)
        assert outpost.wait() == 0
        outpost.start()
        outpost.ready()
        eventually(lambda: outpost.metrics().get("garrison_outpost_workers") == 2, "two workers")
        assert checks(outpost, alice) == {401}
        assert checks(outpost, other) == {200}

        control.start_link()
        eventually(lambda: control.ended, "control is told")
        assert [(each.provider, each.session) for each in control.ended] == [("wiki", "s1")]
        eventually(lambda: outpost.metrics()["garrison_outpost_queued_sign_outs"] == 0, "nothing waits any more")
