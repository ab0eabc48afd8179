"""The supervisor of an LDAP outpost holds users and groups over restarts; that of a proxy outpost holds none."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from dataplane.link.state import DirectoryKey, Saved, StateFolder
from dataplane.link.target import Target
from dataplane.link.world import World
from dataplane.runtime.plan import Plan
from dataplane.runtime.supervisor import Supervisor
from protos.outpost.v1 import directory_pb2, link_pb2
from tests.support.fake_control import FakeControl

PATIENCE = 30.0
SECRET = b"k" * 32


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as control:
        yield control


def plan(control: FakeControl, kind: str, folder: Path) -> Plan:
    """Without workers: no server of LDAP is there yet to be one."""
    return Plan(
        type=kind,
        version="0.1.0",
        build="",
        state=folder,
        workers=0,
        listeners=(),
        metrics=(),
        target=Target(url=control.url, token=control.token),
        control_socket="",
        trusted_cidrs=None,
        service_hosts=(),
        browser_url="",
        log_level="info",
    )


def part(position: int, *names: str, whole: bool = False) -> link_pb2.WatchResponse:
    entries = [
        directory_pb2.DirectoryEntry(key=f"user/{name}", user=directory_pb2.DirectoryUser(username=name))
        for name in names
    ]
    directory = link_pb2.Directory(
        position=link_pb2.DirectoryPosition(epoch="e", position=position),
        begins=whole,
        complete=True,
        entries=[entry.SerializeToString() for entry in entries],
    )
    return link_pb2.WatchResponse(directory=directory)


def run(plan: Plan, story: Callable[[], Awaitable[None]]) -> None:
    """A supervisor from its start to its end, with the story in between."""

    async def play() -> None:
        supervisor = Supervisor(plan, World())
        running = asyncio.create_task(supervisor.run())
        await asyncio.wait_for(story(), PATIENCE)
        supervisor.drain()
        await asyncio.wait_for(running, PATIENCE)

    asyncio.run(play())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the condition is control's state, in other threads
        await asyncio.sleep(0.01)


def keep_key(control: FakeControl, folder: Path) -> None:
    """As after a first configuration, which takes workers."""
    state = StateFolder(folder, os.urandom)
    assert state.save(Saved(revision=0, resources=(), directory_key=DirectoryKey(SECRET)), (control.token,))
    state.close()


def test_an_ldap_outpost_holds_the_directory_over_restarts(control: FakeControl, tmp_path: Path) -> None:
    keep_key(control, tmp_path)

    async def first() -> None:
        await until(lambda: control.connections)
        assert not control.hellos[-1].HasField("directory")
        control.tell(part(7, "alice", "bob", whole=True))
        control.tell(part(8, "carol"))
        await until(lambda: len(control.directory_applied) == 2)
        assert [each.position.position for each in control.directory_applied] == [7, 8]

    run(plan(control, "ldap", tmp_path), first)
    assert b"alice" not in (tmp_path / "directory").read_bytes()

    async def second() -> None:
        await until(lambda: len(control.hellos) == 2 and control.connections)
        assert (control.hellos[-1].directory.epoch, control.hellos[-1].directory.position) == ("e", 8)
        control.tell(part(9))
        await until(lambda: len(control.directory_applied) == 3)

    run(plan(control, "ldap", tmp_path), second)

    async def third() -> None:
        await until(lambda: len(control.hellos) == 3)
        assert control.hellos[-1].directory.position == 9

    run(plan(control, "ldap", tmp_path), third)


def test_a_proxy_outpost_takes_none_whatever_it_is_sent(
    control: FakeControl, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await until(lambda: control.connections)
        assert not control.hellos[-1].HasField("directory")
        control.tell(part(7, "alice", whole=True))
        await until(lambda: "no use for" in caplog.text)

    run(plan(control, "proxy", tmp_path), story)
    assert control.directory_applied == []
    assert not (tmp_path / "directory").exists()
