"""The command line as a shell sees it: exit status, and one line for what can't be used."""

import fcntl
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.peers_program import free_port


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHENTIK_", "GARRISON_"))}
    command = [sys.executable, "-m", "dataplane.main", *arguments]
    return subprocess.run(command, env=own | environment, capture_output=True, text=True, timeout=30, check=False)


def test_a_bad_setting_is_one_line_and_status_2() -> None:
    done = run("proxy", AUTHENTIK_HOST="https://auth.example.com")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "garrison-outpost: AUTHENTIK_TOKEN: not set: expected the outpost's token, from its page in the admin UI\n"
    )


def test_a_type_without_a_server_is_status_2() -> None:
    done = run("radius", "--listen", ":1812", AUTHENTIK_HOST="https://auth.example.com", AUTHENTIK_TOKEN="t")
    assert (done.returncode, done.stderr) == (
        2,
        "garrison-outpost: type radius: not served by this version (served: proxy, ldap)\n",
    )


def test_version_and_help() -> None:
    assert run("--version").stdout.startswith("garrison-outpost ")
    assert "--workers" in run("proxy", "--help").stdout


def test_healthcheck_of_nobody_fails() -> None:
    assert run("healthcheck", "--metrics", f"127.0.0.1:{free_port()}").returncode == 1


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (204, 1)])
def test_healthcheck_asks_whether_the_workers_live(status: int, code: int) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = run("healthcheck", AUTHENTIK_LISTEN__METRICS=f"127.0.0.1:{server.server_address[1]}")
    assert done.returncode == code
    assert asked == ["/-/health/live/"]


def test_a_state_folder_that_is_in_use_is_status_1(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("proxy", "--state", str(tmp_path), GARRISON_CONTROL_SOCKET="/nowhere/web.sock")
    assert done.returncode == 1
    assert f"the state folder {tmp_path} is in use by another outpost process" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_descriptor_that_nobody_gave_is_nobodys(closed: str, tmp_path: Path) -> None:
    """A listening socket must not get the number that access and decision log are written to."""
    program = (
        "import os, socket, sys; from dataplane.main import fill_standard_descriptors; fill_standard_descriptors();"
        "names = [os.readlink(f'/proc/self/fd/{number}') for number in range(3)];"
        "opened = socket.socket().fileno();"
        "open(sys.argv[1], 'w').write(f'{opened > 2} {names.count(os.devnull)}')"
    )
    told = tmp_path / "told"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", program, str(told)]
    subprocess.run(command, check=True, stdin=subprocess.PIPE, capture_output=True)
    assert told.read_text() == f"True {closed.count('&-')}"
