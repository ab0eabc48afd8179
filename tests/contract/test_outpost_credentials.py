"""Credentials at an outpost with several workers: control is asked once, and all of them go by its answer."""

import base64
import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from protos.outpost.v1 import gate_pb2, identity_pb2
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess

HOST = "wiki.example.com"


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def allowed() -> gate_pb2.AuthenticateResponse:
    """Alice may in, for an hour, and that may be kept for ten minutes."""
    session = gate_pb2.ProxySession(
        id="a1", identity=identity_pb2.Identity(subject="u1", username="alice"), id_token="a.b.c"
    )
    session.authenticated.FromMicroseconds(int(time.time() * 1e6))
    session.expires.FromMicroseconds(int((time.time() + 3600) * 1e6))
    answer = gate_pb2.Allowed(session=session)
    answer.cache.FromSeconds(600)
    return gate_pb2.AuthenticateResponse(allowed=answer)


def ask(outpost: OutpostProcess, credentials: str) -> int:
    """What a new connection is told: any worker may have it."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=30)
    given = base64.b64encode(credentials.encode()).decode()
    headers = {"Host": HOST, "X-Original-URL": f"https://{HOST}/", "Authorization": f"Basic {given}"}
    with closing(connection):
        connection.request("GET", "/outpost.goauthentik.io/auth/nginx", headers=headers)
        return connection.getresponse().status


def checks(outpost: OutpostProcess, credentials: str) -> set[int]:
    return {ask(outpost, credentials) for _ in range(24)}


def test_what_one_worker_has_learnt_all_go_by(control: FakeControl, tmp_path: Path) -> None:
    control.verdict = allowed()
    kept = options()
    kept.options.bind_cache.FromSeconds(600)
    kept.options.offline_grace.FromSeconds(3600)
    revision = control.hold(kept, provider())
    with OutpostProcess(tmp_path, control.environment(), workers=2) as outpost:
        control.settled(revision)
        eventually(lambda: outpost.metrics().get("garrison_outpost_workers") == 2, "two workers")
        assert ask(outpost, "alice:secret") == 200
        eventually(lambda: outpost.metrics().get("garrison_verifier_entries") == 2, "both know")
        assert checks(outpost, "alice:secret") == {200}
        assert [each.password.username for each in control.attempts] == ["alice"]
        control.stop_link()
        assert checks(outpost, "alice:secret") == {200}
        assert checks(outpost, "alice:other") == {503}
