"""What the demo keeps in its data folder."""

import socket
from pathlib import Path

import pytest

from control.serve.demo import setup
from control.serve.demo.setup import make_demo


def test_passwords_and_ports_stay_over_restarts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = int(other.getsockname()[1])
        (tmp_path / "demo.json").write_text(f'{{"port": {taken}}}')
        first = make_demo(tmp_path, 9000)
        assert first.port != taken
    assert make_demo(tmp_path, 9000) == first, "the port that was free the last time, though another one is free again"
    assert (tmp_path / "demo.json").stat().st_mode & 0o077 == 0


def test_its_process_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GARRISON_BOOTSTRAP_PASSWORD", "GARRISON_SECRET_KEY", "GARRISON_DATABASE_URL", "AUTHENTIK_TOKEN"):
        monkeypatch.setenv(name, "hush")
    environment = make_demo(tmp_path, 9000).program("127.0.0.1:9000").environment()
    assert "PATH" in environment
    assert "hush" not in environment.values()


def test_a_file_of_before_has_no_port(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"alice": "a-password", "bob": "another"}')
    demo = make_demo(tmp_path, 9000)
    assert demo.passwords == {"alice": "a-password", "bob": "another"}
    assert len({demo.port, demo.application, demo.ldap, demo.ldaps}) == 4
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", demo.port))  # it was free
    assert setup.PREFERRED_PORT == 9080
