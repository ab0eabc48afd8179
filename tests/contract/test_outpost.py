"""The outpost program against a control plane that speaks the real protos: what an operator sees from outside."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.outpost.v1 import link_pb2
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess, alive, children


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def test_enrols_says_hello_applies_and_beats(control: FakeControl, tmp_path: Path) -> None:
    revision = control.hold(options(), provider())
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        assert not control.settled(revision).rejected
        outpost.ready()
        hello = control.hellos[0]
        assert (hello.type, hello.protocol, hello.revision, dict(hello.held)) == ("proxy", 1, 0, {})
        assert hello.instance == (outpost.state / "instance").read_text().strip()
        health = eventually(lambda: control.healths, "a beat")[-1]
        assert health.memory_bytes > 0
        assert control.token not in (tmp_path / "outpost.log").read_text()
