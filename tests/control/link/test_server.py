"""The link as a process: metrics, wake socket, certificates that are renewed, and an end on SIGTERM."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from sqlalchemy.exc import OperationalError

from control.domain.outpost import InstanceState
from control.domain.security import Authority, Revocation
from control.fleet.authority import ensure_authority
from control.link.credentials import ServerCredentials
from control.link.housekeeping import clean_up
from control.store import Actor, Store
from protos.outpost.v1 import gate_pb2, link_pb2
from tests.support import builders
from tests.support.fleet import deploy
from tests.support.links import Control, eventually, outpost
from tests.support.stores import ADMIN, Clock, Wakes, make_store


async def scrape(path: Path) -> str:
    """The metrics, as the supervisor reads them."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: link\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body.encode())}" in head
    return body


def test_metrics(control: Control) -> None:
    deployed = deploy(control.store, config={"kubernetes_replicas": 3})
    given = control.enrol(deployed)
    labels = f'outpost="edge",uid="{given.uid}"'

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello()
                await edge.take()
                pushes = link.parts.metrics.registry.get_sample_value
                await eventually(lambda: pushes("garrison_link_push_seconds_count") == 1.0)
                text = await scrape(control.settings.metrics_socket)
                assert f'authentik_outposts_connected{{expected="3",{labels}}} 1.0' in text
                assert f'authentik_outposts_last_update{{{labels},version="0.1.0"}}' in text
                assert "garrison_link_streams 1.0" in text
                assert "process_resident_memory_bytes" in text
            await eventually(lambda: pushes("garrison_link_streams") == 0.0)
            async with outpost(link, given) as edge:
                await edge.hello(protocol=9)
                await edge.status()
            text = await scrape(control.settings.metrics_socket)
            assert 'garrison_link_refused_total{reason="protocol"} 1.0' in text
            assert f'authentik_outposts_connected{{expected="3",{labels}}} 0.0' in text

    asyncio.run(play())


@pytest.mark.parametrize("sent", [b"", b"x" * 100_000, b"GET / HTTP/1.1\r\n"])
def test_who_talks_nonsense_to_the_metrics_harms_nobody(control: Control, sent: bytes) -> None:
    async def play() -> None:
        async with control.link() as link:
            reader, writer = await asyncio.open_unix_connection(control.settings.metrics_socket)
            writer.write(sent)
            writer.write_eof()
            await reader.read()
            writer.close()
            assert "garrison_link_streams" in await scrape(control.settings.metrics_socket)
            assert not link.failed.done()

    asyncio.run(play())


def test_sockets_are_for_the_owner_and_take_the_place_of_dead_ones(control: Control) -> None:
    control.settings.wake_socket.touch()
    control.settings.metrics_socket.touch()

    async def play() -> None:
        async with control.link():
            for path in (control.settings.wake_socket, control.settings.metrics_socket):
                assert (path.is_socket(), path.stat().st_mode & 0o777) == (True, 0o600)

    asyncio.run(play())


def test_an_instance_is_written_as_it_comes_and_goes(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    control.clock.advance(minutes=1)

    def states() -> list[tuple[InstanceState, str, int]]:
        with control.store.read() as unit:
            instances = unit.instances.of_outpost(deployed.outpost.id)
        return [(each.state, each.last_error, each.workers) for each in instances]

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello()
                await edge.take()
                await eventually(lambda: states() == [(InstanceState.CONNECTED, "", 0)])
                await edge.health(workers=2, last_error="the disk is full")
                await eventually(lambda: states() == [(InstanceState.CONNECTED, "the disk is full", 2)])
            await eventually(lambda: states() == [(InstanceState.DISCONNECTED, "the disk is full", 2)])
            with control.store.read() as unit:
                (instance,) = unit.instances.all()
                token = unit.tokens.get(deployed.token.id)
            assert (instance.hostname, instance.address, instance.uid) == ("edge-1", "127.0.0.1", given.uid)
            assert token.last_used == control.clock.now

    asyncio.run(play())


def test_a_beat_costs_no_write(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            revision = (await edge.take()).revision
            roster = link.parts.roster
            await eventually(lambda: next(iter(roster.instances.values())).applied_revision == revision)
            await eventually(lambda: not roster._urgent)
            await edge.health(memory_bytes=77)
            await eventually(lambda: next(iter(roster.instances.values())).memory_bytes == 77)
            assert (len(roster._urgent), len(roster._beaten)) == (0, 1)
        with control.store.read() as unit:
            assert unit.instances.all()[0].memory_bytes == 77

    asyncio.run(play())


def test_skew_is_measured(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello(clock=control.clock.now - timedelta(minutes=3))
            await edge.take()
            (instance,) = link.parts.roster.instances.values()
            assert instance.clock_skew == -180.0

    asyncio.run(play())


def test_a_killed_links_instances_are_away_when_the_next_begins(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            await edge.take()
            await link.parts.roster.save()
            with control.store.read() as unit:
                left = unit.instances.all()
        assert [each.state for each in left] == [InstanceState.CONNECTED]
        with control.store.write(ADMIN) as unit:
            unit.instances.save(left)
        async with control.link():
            with control.store.read() as unit:
                assert [each.state for each in unit.instances.all()] == [InstanceState.DISCONNECTED]

    asyncio.run(play())


def test_options_an_older_version_stored_harm_nobody_else(control: Control) -> None:
    deploy(control.store, "broken", ("blog",), config={"no_such_option": 1})
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            await edge.take()
            assert not link.failed.done()

    asyncio.run(play())


def test_the_server_certificate_is_renewed_also_when_the_clock_was_ahead(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link:
            shown = link.credentials
            first = shown.identity
            with control.store.write(ADMIN) as unit:
                authorities = [ensure_authority(unit)]
            assert not shown.renew(authorities)
            control.clock.advance(days=3.6)
            assert shown.renew(authorities)
            assert shown.identity != first
            leaf = x509.load_pem_x509_certificate(shown.identity.certificate.encode())
            assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=7, hours=1)
            control.clock.advance(days=-3.6)
            assert shown.renew(authorities)
            async with outpost(link, control.enrol(deployed)) as edge:
                await edge.hello()
                await edge.take()

    asyncio.run(play())


def test_a_renewed_certificate_is_what_the_next_handshake_shows(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello()
                await edge.take()
            other = ServerCredentials(authorities := _another_authority(control), control.clock)
            link.credentials.renew(authorities)
            assert other.identity.certificate != link.credentials.identity.certificate
            async with outpost(link, given) as edge:
                await edge.hello()
                assert (await edge.status())[0] is grpc.StatusCode.UNAVAILABLE

    asyncio.run(play())


def _another_authority(control: Control) -> list[Authority]:
    with control.store.write(ADMIN) as unit:
        for authority in unit.authorities.all():
            unit.authorities.remove(authority)
        return [ensure_authority(unit)]


def test_housekeeping_drops_what_has_run_out(control: Control, store: Store) -> None:
    deployed = deploy(store)
    alice = builders.user("alice")
    with store.write(ADMIN) as unit:
        unit.users.add(alice)
        now = unit.now
        unit.revocations.put(
            [Revocation(id=alice.id, user=alice.id, at=now, until=now + timedelta(hours=2))],
        )

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            await edge.take()
            assert f"ended/subject/{alice.id}" in edge.held
            control.clock.advance(hours=3)
            await clean_up(store, link.parts.revisions, link.parts.roster, link.credentials)
            await edge.take()
            assert f"ended/subject/{alice.id}" not in edge.held
        with store.read() as unit:
            assert unit.revocations.all() == []

    asyncio.run(play())


PROGRAM = """
import logging, sys
from pathlib import Path
from control.link import LinkSettings, run
from tests.support.links import FakeGatekeeper
from tests.support.stores import make_store
from datetime import UTC, datetime
logging.basicConfig(stream=sys.stderr, format="%(message)s")
logging.getLogger("control.link").setLevel(logging.INFO)
folder = Path(sys.argv[1])
store = make_store(folder / "garrison.db", lambda: datetime.now(UTC), lambda: None)
settings = LinkSettings(address=f"127.0.0.1:{sys.argv[2]}", wake_socket=folder / "w", metrics_socket=folder / "m", url="http://x")
raise SystemExit(run(store, FakeGatekeeper(), settings))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_well(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path), "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as process:
        try:
            assert process.stderr
            assert process.stderr.readline() == b"the link listens\n"
            begun = time.monotonic()
            process.send_signal(number)
            assert (process.wait(30), process.stderr.read()) == (0, b"")
            assert time.monotonic() - begun < 20
        finally:
            process.kill()


def test_who_gets_a_certificate_of_a_new_authority_is_let_in_at_once(control: Control) -> None:
    deployed = deploy(control.store)
    old = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            with control.store.write(ADMIN) as unit:
                unit.authorities.add(
                    replace(another_authority(control.folder), created=unit.now + timedelta(seconds=1))
                )
            new = control.enrol(deployed)
            assert new.ca.count(b"BEGIN CERTIFICATE") == 2
            await eventually(lambda: len(link.parts.revisions.state.facts.authorities) == 2)
            # The link shows a certificate of the new one, which only those know who enrolled since.
            for given in (new, replace(old, ca=new.ca)):
                async with outpost(link, given) as edge:
                    await edge.hello()
                    await edge.take()

    asyncio.run(play())


def another_authority(folder: Path) -> Authority:
    """One that another installation made."""
    with make_store(folder / "other.db", Clock(datetime.now(UTC)), Wakes()).write(ADMIN) as unit:
        return ensure_authority(unit)


def test_a_port_that_is_taken_is_not_shared_but_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path), str(port)]
        environment = {**os.environ, "PYTHONPATH": "."}
        ended = subprocess.run(command, capture_output=True, env=environment, timeout=30, check=False)
    told = f"the link can't listen on 127.0.0.1:{port}: it is taken or not this host's"
    assert (ended.returncode, ended.stderr.decode().splitlines()[-1]) == (1, told)


def test_no_secret_is_logged(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deployed = deploy(control.store)
    provider = deployed.sites[0].provider.id
    given = control.enrol(deployed)
    control.gatekeeper.fails = RuntimeError("something else")
    with control.store.read() as unit:
        cookie_key = unit.cookie_keys.of_provider(provider)[0].secret
        authority_key = unit.authorities.all()[0].private_key

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello()
                (config,) = await edge.config()
                rejected = link_pb2.Rejection(key=f"provider/{provider}", digest=edge.held[f"provider/{provider}"])
                await edge.applied(config.revision, (rejected,))
                request = gate_pb2.RedeemCodeRequest(provider=str(provider), code="c0de-hush", code_verifier="v-hush")
                with pytest.raises(grpc.aio.AioRpcError):
                    await edge.gate.RedeemCode(request)
                await edge.health(last_error="bad")
                await eventually(lambda: "an outpost refused resources" in caplog.text)
            async with outpost(link, given) as edge:
                await edge.hello(type="ldap")
                await edge.status()

    asyncio.run(play())
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "an outpost refused resources" in logged
    secrets = [deployed.token.secret, repr(cookie_key), authority_key, given.key.decode(), "c0de-hush", "v-hush"]
    assert [secret for secret in secrets if secret in logged] == []


def test_what_could_not_be_written_is_written_later(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    write = control.store.write
    refusals: list[Actor] = []

    def fail_once(actor: Actor) -> Any:
        if not refusals:
            refusals.append(actor)
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return write(actor)

    def written() -> bool:
        with control.store.read() as unit:
            return [each.state for each in unit.instances.all()] == [InstanceState.CONNECTED]

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            monkeypatch.setattr(control.store, "write", fail_once)
            await edge.connect()
            await eventually(written)
            assert len(refusals) == 1
            monkeypatch.undo()

    asyncio.run(play())
