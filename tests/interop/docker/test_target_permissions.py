"""What an engine behind a proxy allows, found out without any effect; and what happens there, as it tells."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from uuid import UUID, uuid4

import pytest

from control.domain.integration import PERMISSIONS
from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.engine import Engine as Connected
from control.integrations.docker.events import follow
from control.integrations.docker.preflight import preflight
from control.integrations.docker.refusals import NotAllowed
from control.integrations.docker.target import DockerTarget
from control.integrations.model import Checked, Create, TargetAway
from tests.support.engine import Engine
from tests.support.engine_proxy import NARROW, WIDE, Call, engine_proxy
from tests.support.engine_wanted import QUICK, Ear, owner_and_name, wanted_container

pytestmark = pytest.mark.interop

# Each permission by the calls that are refused without it.
_WITHOUT = {
    "images pull": {("POST", "/images/create")},
    "containers read": {("GET", "/containers/json"), ("GET", "/containers/[^/]+/json")},
    "containers create": {("POST", "/containers/create")},
    "containers kill": {("POST", "/containers/[^/]+/kill")},
    "containers remove": {("DELETE", "/containers/[^/]+")},
}


def test_all_of_an_engine_of_ones_own(engine_socket: Path) -> None:
    with connect(Connection(url=f"unix://{engine_socket}"), QUICK) as connected:
        assert preflight(connected) == Checked(version="20.10.24+dfsg1", missing=())
        assert connected.can_rename


def test_the_five_permissions_are_enough(engine_socket: Path, folder: Path) -> None:
    with _behind(engine_socket, folder, NARROW) as connected:
        assert preflight(connected) == Checked(version="20.10.24+dfsg1", missing=())
        assert not connected.can_rename


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_what_is_missing_is_told(engine_socket: Path, folder: Path, permission: str) -> None:
    checked = _checked(engine_socket, folder, tuple(each for each in WIDE if each not in _WITHOUT[permission]))

    assert checked.missing == (permission,)
    assert checked.version == "20.10.24+dfsg1"


def test_a_proxy_that_allows_nothing(engine_socket: Path, folder: Path) -> None:
    with _behind(engine_socket, folder, ()) as connected:
        assert preflight(connected) == Checked(version="", missing=PERMISSIONS)
        with pytest.raises(NotAllowed):
            DockerTarget(connected, lambda _: False).observe(frozenset({uuid4()}))


@pytest.mark.usefixtures("tiny_images")
def test_a_call_that_is_refused_is_worth_another_try(engine_socket: Path, folder: Path) -> None:
    """When the permission is there: nobody's fault is remembered."""
    allowed = tuple(each for each in NARROW if each[1] != "/containers/create")
    with _behind(engine_socket, folder, allowed) as connected, pytest.raises(TargetAway) as away:
        DockerTarget(connected, lambda _: False).apply(Create(wanted=wanted_container(*owner_and_name())), Ear())

    assert (away.value.code, away.value.detail) == ("not_allowed", "POST /containers/create: Forbidden")


@pytest.mark.usefixtures("tiny_images")
def test_what_happens_to_containers_of_outposts(engine: Engine, engine_socket: Path) -> None:
    owner, name = owner_and_name()
    with _following(engine_socket) as heard:
        engine.run("docker", "run", "-d", "--name", f"{name}-other", "well:1")
        engine.run("docker", "rm", "-f", f"{name}-other")
        label = f"io.goauthentik.outpost-uuid={owner}"
        for command in (
            ["run", "-d", "--name", name, "--label", label, "well:1"],
            ["kill", name],
            ["start", name],
            ["rename", name, f"{name}-b"],
            ["rm", "-f", f"{name}-b"],
        ):
            engine.run("docker", *command)
            assert heard.get(timeout=30) == owner
        # Also after a time in which nothing has happened, when the stream is asked for anew.
        while not heard.empty():
            assert heard.get() == owner


def test_events_that_are_refused(engine_socket: Path, folder: Path) -> None:
    with _behind(engine_socket, folder, NARROW) as connected, pytest.raises(NotAllowed):
        next(follow(connected, threading.Event()))


def test_following_ends_when_it_is_to(engine_socket: Path) -> None:
    with _following(engine_socket):
        pass


@contextmanager
def _following(socket: Path) -> Iterator[Queue[UUID]]:
    """Owners that are heard of by somebody who follows, and stops at the end."""
    heard: Queue[UUID] = Queue()
    stopping = threading.Event()
    with connect(Connection(url=f"unix://{socket}"), QUICK) as connected:
        thread = threading.Thread(target=_listen, args=(connected, stopping, heard))
        thread.start()
        yield heard
        stopping.set()
        connected.cut()
        thread.join(3)
        assert not thread.is_alive()


def _listen(connected: Connected, stopping: threading.Event, heard: Queue[UUID]) -> None:
    try:
        for owner in follow(connected, stopping):
            heard.put(owner)
    except TargetAway:
        assert stopping.is_set()


@contextmanager
def _behind(socket: Path, folder: Path, allowed: tuple[Call, ...]) -> Iterator[Connected]:
    with (
        engine_proxy(folder, str(socket), allowed) as proxy,
        connect(Connection(url=proxy.url), QUICK) as connected,
    ):
        yield connected


def _checked(socket: Path, folder: Path, allowed: tuple[Call, ...]) -> Checked:
    with _behind(socket, folder, allowed) as connected:
        return preflight(connected)
