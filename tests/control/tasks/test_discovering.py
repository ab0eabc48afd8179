"""A socket that control may use becomes an integration, once."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from control.domain.task import TaskKind
from control.store import Store
from tests.support.deploying import Stage, make_stage
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def discover(stage: Stage, *sockets: Path) -> object:
    stage.means = replace(stage.means, sockets=sockets)
    return stage.ask(TaskKind.DISCOVER).result


def urls(stage: Stage) -> list[tuple[str, str, bool]]:
    with stage.store.read() as unit:
        return [(each.name, each.url, each.local) for each in unit.integrations.all()]


def test_a_socket_becomes_an_integration_that_is_checked(stage: Stage, listening: Path) -> None:
    assert discover(stage, listening) == {"created": True}
    assert urls(stage) == [("Local Docker connection", f"unix://{listening}", True)]
    assert TaskKind.CHECK in {run.kind for run in stage.runs()}


def test_it_is_found_once(stage: Stage, listening: Path) -> None:
    discover(stage, listening)
    assert discover(stage, listening) == {"created": False}
    assert len(urls(stage)) == 1


def test_one_that_an_admin_named_otherwise_is_known(stage: Stage, listening: Path) -> None:
    stage.engine("mine", url=f"unix://{listening}")
    assert discover(stage, listening) == {"created": False}


def test_a_name_that_is_taken_is_no_obstacle(stage: Stage, listening: Path) -> None:
    stage.engine("Local Docker connection", url="unix:///elsewhere.sock")
    discover(stage, listening)
    assert ("Local Docker connection 2", f"unix://{listening}", True) in urls(stage)


def test_nothing_is_made_of_what_is_no_socket(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert discover(stage, tmp_path / "file", tmp_path / "missing", tmp_path / "file" / "below") == {"created": False}
    assert urls(stage) == []


def test_nothing_is_made_where_nobody_is_to_look(stage: Stage) -> None:
    assert discover(stage) == {"created": False}


def test_one_that_is_refused_to_us_is_told_of(stage: Stage, listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert discover(stage, listening) == {"created": False}
    assert "socket_refused" in stage.codes


def test_who_removes_it_is_not_asked_again_before_the_next_look(stage: Stage, listening: Path) -> None:
    discover(stage, listening)
    with stage.store.write(ADMIN) as unit:
        unit.integrations.remove(unit.integrations.get_named("Local Docker connection"))
    stage.settle()
    assert urls(stage) == []
