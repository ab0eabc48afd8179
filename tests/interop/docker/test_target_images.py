"""Where images come from: a registry, what the engine has already, or nowhere."""

import json
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.engine import Engine as Connected
from control.integrations.docker.images import fetch
from control.integrations.docker.target import DockerTarget
from control.integrations.model import ActionFailed, Cancelled, Create
from tests.support.engine import Engine
from tests.support.engine_wanted import QUICK, Ear, owner_and_name, wanted_container
from tests.support.registry import Registry, running_registry

pytestmark = pytest.mark.interop
# Nothing here waits for the other side to fall silent, on any machine.
PATIENT = replace(QUICK, quiet=40)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_registry() as registry:
        yield registry


@pytest.fixture
def connected(engine_socket: Path) -> Iterator[Connected]:
    with connect(Connection(url=f"unix://{engine_socket}"), QUICK) as connected:
        yield connected


def test_a_tag_is_pulled_again_and_what_it_means_now_is_told(
    engine: Engine, connected: Connected, registry: Registry
) -> None:
    reference = registry.put("app", "1", ["/first"])
    target = DockerTarget(connected, lambda _: False)
    wanted, ear = wanted_container(*owner_and_name(), reference), Ear()

    first = target.prepare(wanted, ear)
    registry.put("app", "1", ["/second"])
    second = target.prepare(wanted, ear)

    assert first != second == target.prepare(wanted, ear)
    assert engine.inspect(reference)["Config"]["Entrypoint"] == ["/second"]
    assert ear.codes[:4] == ["pulling", "pulled", "pulling", "pulled"]
    assert ear.said[0].values == {"image": reference}


def test_where_the_registry_refuses_what_is_there_is_used(connected: Connected, registry: Registry) -> None:
    reference = registry.put("kept", "1", ["/app"])
    there = fetch(connected, reference, Ear())
    registry.files.clear()
    ear = Ear()

    assert fetch(connected, reference, ear) == there
    assert ear.codes == ["pulling", "pull_failed"]
    assert "manifest unknown" in ear.said[1].values["detail"]


def test_an_image_that_nobody_has(connected: Connected, registry: Registry) -> None:
    ear = Ear()

    assert fetch(connected, f"{registry.host}/none:1", ear) == ""
    assert ear.codes == ["pulling", "no_image"]
    target, again = DockerTarget(connected, lambda _: False), Ear()
    wanted = wanted_container(*owner_and_name(), f"{registry.host}/none:1")
    assert target.prepare(wanted, again) == ""
    with pytest.raises(ActionFailed) as failed:
        target.apply(Create(wanted=wanted), again)
    assert failed.value.code == "no_image"
    assert failed.value.detail == ear.said[1].values["detail"] != ""
    # Nobody is asked, or told, twice.
    assert again.codes == ear.codes


def test_what_is_named_by_its_content_is_not_asked_for_again(connected: Connected, registry: Registry) -> None:
    registry.put("pinned", "1", ["/app"])
    digest = next(path.rpartition("/")[2] for path in registry.files if "manifests/sha256" in path)
    reference = f"{registry.host}/pinned@{digest}"
    first = fetch(connected, reference, Ear())
    registry.files.clear()
    ear = Ear()

    assert first == fetch(connected, reference, ear) != ""
    assert fetch(connected, first, ear) == first
    assert ear.codes == []


def test_passwords_of_this_machine_go_nowhere(
    engine_socket: Path, registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even those that `docker login` has left for that registry: who can name an image would have them."""
    reference = registry.put("private", "1", ["/app"])
    secret = b64encode(b"me:secret").decode()
    registry.authorization = f"Basic {secret}"
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": secret}}}))
    with connect(Connection(url=f"unix://{engine_socket}"), QUICK) as connected:
        assert fetch(connected, reference, Ear()) == ""


def test_a_pull_that_nobody_wants_any_more(connected: Connected, registry: Registry) -> None:
    reference = registry.put("unwanted", "1", ["/app"])

    with pytest.raises(Cancelled):
        fetch(connected, reference, Ear(raising={"pulling": Cancelled()}))


def test_a_pull_that_nobody_wants_any_more_while_the_registry_says_nothing(engine_socket: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        connect(Connection(url=f"unix://{engine_socket}"), PATIENT) as connected,
    ):
        began = time.monotonic()
        with pytest.raises(Cancelled):
            fetch(connected, f"127.0.0.1:{silent.getsockname()[1]}/app:1", Ear(raising={"": Cancelled()}))
        assert time.monotonic() - began < PATIENT.quiet / 2

        # What was cut off was the pull alone.
        assert connected.find_image("nosuch:1") is None


def test_a_pull_has_its_time(engine_socket: Path) -> None:
    limits, ear = replace(PATIENT, pull=0.3), Ear()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        connect(Connection(url=f"unix://{engine_socket}"), limits) as connected,
    ):
        began = time.monotonic()
        assert fetch(connected, f"127.0.0.1:{silent.getsockname()[1]}/app:1", ear) == ""
        assert time.monotonic() - began < PATIENT.quiet / 2
    assert ear.codes == ["pulling", "no_image"]
