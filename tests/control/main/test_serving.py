"""`garrison serve` as it is used: real processes on free ports, from the first start to the last request."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from control.fleet.tokens import fingerprint
from control.settings import Given, read_settings
from control.settings.opening import open_store
from tests.support.browser_http import Visitor
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, short_folder
from tests.support.peers_http import ask
from tests.support.peers_program import eventually

STOP_SECONDS = 10.0
SIGN_IN_BUT_FOR_A_BYTE = (
    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\na="
)


@pytest.fixture
def garrison() -> Iterator[Garrison]:
    """An installation that isn't started yet."""
    with short_folder() as folder:
        yield Garrison(folder)


def processes(garrison: Garrison) -> dict[str, dict[str, Any]]:
    """What `processes.json` says, by name."""
    rows = json.loads((garrison.data / "run" / "processes.json").read_text())
    return {row["name"]: row for row in rows}


def descriptors(pid: int) -> int:
    """How many files a process may have open."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return int(re.findall(r"Max open files +(\d+)", limits)[0])


def descriptors_possible() -> int:
    """How many files a process may allow itself here."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def refused(garrison: Garrison, *arguments: str, **environment: str) -> str:
    """What a start that is refused says on stderr, in one line."""
    command = [*garrison.command(), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment}
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return done.stderr


def test_from_the_first_start_to_the_end(garrison: Garrison) -> None:
    garrison.start()
    line = f"Garrison 0.1.0 is ready at {garrison.url}\n"
    eventually(lambda: line in garrison.program.output(), "the line is printed")
    assert "password" not in garrison.program.output()
    visitor = Visitor()
    assert "Sign in" in visitor.get(f"{garrison.url}/sign-in").text
    page = visitor.sign_in(f"{garrison.url}/sign-in", ADMIN, ADMIN_PASSWORD)
    assert (page.status, "/sign-in" in page.url) != (200, True)
    assert {name: row["state"] for name, row in processes(garrison).items()} == {
        "web": "running",
        "link": "running",
        "tasks": "running",
        "proxy": "running",
    }
    eventually(lambda: garrison.instances("Embedded outpost"), "the embedded outpost is listed")
    assert garrison.instances("Embedded outpost")[0]["state"] == "connected"
    metrics = ask(garrison.metrics, "/metrics").text
    assert 'garrison_process_up{process="proxy"} 1.0' in metrics
    assert "authentik_outpost_info" in metrics
    assert "garrison_web_requests_total" in metrics
    assert 'garrison_process_scraped{process="link"} 1.0' in metrics
    assert 'garrison_process_scraped{process="tasks"} 1.0' in metrics
    assert (garrison.data / "secret.key").stat().st_mode & 0o777 == 0o600
    assert {descriptors(row["pid"]) for row in processes(garrison).values()} == {min(descriptors_possible(), 65536)}
    assert garrison.data.stat().st_mode & 0o777 == 0o700
    began = time.monotonic()
    garrison.stop()
    assert time.monotonic() - began < STOP_SECONDS
    left = subprocess.run(["pgrep", "-f", str(garrison.data)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


@pytest.mark.parametrize("name", ["web", "link", "tasks", "proxy"])
def test_a_child_that_is_killed_comes_back(garrison: Garrison, name: str) -> None:
    garrison.start()
    first = processes(garrison)[name]["pid"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: processes(garrison)[name]["restarts"] == 1, "the end is noted")
    eventually(lambda: processes(garrison)[name]["pid"] not in {None, first}, "it runs again")
    assert processes(garrison)[name]["last_exit"] == "killed by SIGKILL"
    eventually(garrison.is_ready, "all is ready again", within=30)
    counted = f'garrison_process_restarts_total{{process="{name}"}} 1.0'
    assert counted in ask(garrison.metrics, "/metrics").text
    garrison.stop()


def test_requests_wait_while_the_web_process_starts_again(garrison: Garrison) -> None:
    garrison.start()
    statuses: list[int] = []
    os.kill(processes(garrison)["web"]["pid"], signal.SIGKILL)
    askers = [
        threading.Thread(target=lambda: statuses.append(ask(garrison.http, "/sign-in", host="x").status))
        for _ in range(4)
    ]
    eventually(lambda: processes(garrison)["web"]["restarts"] == 1, "the end is noted")
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
    assert statuses == [200] * 4
    garrison.stop()


def test_nothing_is_cut_at_the_end(garrison: Garrison) -> None:
    """A request under way when SIGTERM comes is answered."""
    garrison.start()
    with closing(socket.create_connection(("127.0.0.1", garrison.http), 10)) as connection:
        connection.sendall(SIGN_IN_BUT_FOR_A_BYTE)
        eventually(lambda: _is_read(connection), "the request is taken")
        os.kill(garrison.program.process.pid, signal.SIGTERM)
        eventually(lambda: not _accepts(garrison.http), "the front door takes no more")
        connection.sendall(b"1")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 4")
    assert garrison.program.process.wait(STOP_SECONDS) == 0


def test_the_second_start_on_a_folder_is_refused(garrison: Garrison) -> None:
    garrison.start()
    said = refused(Garrison(garrison.folder))
    assert said == (
        f"garrison: garrison already serves {garrison.data} (process {garrison.program.process.pid}); stop it first\n"
    )
    garrison.stop()


def test_a_port_in_use_is_said_before_anything_starts(garrison: Garrison) -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", garrison.https))
        holder.listen()
        said = refused(garrison)
    assert f"--https: can't listen on 127.0.0.1:{garrison.https} (Address already in use)" in said


def test_a_blueprint_that_is_refused_stops_the_start(garrison: Garrison) -> None:
    garrison.folder.mkdir(exist_ok=True)
    (garrison.folder / "b.yaml").write_text("users: [{username: a, emial: x}]")
    said = refused(garrison, "--blueprint", str(garrison.folder / "b.yaml"), GARRISON_BOOTSTRAP_PASSWORD="x")
    assert "b.yaml: users[0].emial: unknown field" in said


def test_a_password_is_made_and_told_once(garrison: Garrison) -> None:
    garrison.environment = {"GARRISON_BOOTSTRAP_PASSWORD": ""}
    garrison.start()
    told = re.search(rf"First administrator: {ADMIN}, initial password: (\S+)\n", garrison.program.output())
    assert told is not None
    page = Visitor().sign_in(f"{garrison.url}/sign-in", ADMIN, told[1])
    assert 'name="password"' not in page.text
    garrison.stop()
    garrison.start()
    assert "password" not in garrison.program.output()
    garrison.stop()


def test_the_front_door_without_an_embedded_outpost(garrison: Garrison) -> None:
    garrison.flags = ["--no-embedded-outpost"]
    garrison.start()
    assert ask(garrison.http, "/sign-in", host="x").status == 200
    assert garrison.instances("Embedded outpost") == []
    garrison.stop()


def test_a_replaced_token_of_the_embedded_outpost_is_taken_up(garrison: Garrison) -> None:
    garrison.start()
    first = processes(garrison)["proxy"]["pid"]
    garrison.run("token", "Embedded outpost", "--replace")
    eventually(lambda: processes(garrison)["proxy"]["pid"] not in {None, first}, "the front door starts anew")
    eventually(garrison.is_ready, "it is ready again", within=30)
    assert processes(garrison)["proxy"]["restarts"] == 0
    garrison.stop()


def test_a_rotated_token_of_the_embedded_outpost_restarts_nothing(garrison: Garrison) -> None:
    garrison.start()
    first = processes(garrison)["proxy"]["pid"]
    store = open_store(read_settings(Given(data=str(garrison.data)), {}), migrate=False)
    token = fingerprint(garrison.run("token", "Embedded outpost", "--rotate").strip())

    def held() -> bool:
        with store.read() as unit:
            return [each.held_token for each in unit.instances.all()] == [token]

    eventually(held, "the front door has put the token into its state")
    garrison.run("token", "Embedded outpost", "--retire")
    with pytest.raises(AssertionError, match="not within"):
        # Longer than it takes to look whether something has to start anew.
        eventually(lambda: processes(garrison)["proxy"]["pid"] != first, "the front door starts anew", within=2.5)
    with store.read() as unit:
        used = unit.tokens.find_by_fingerprint(token)
    assert used is not None
    assert used.last_used is not None
    eventually(lambda: garrison.instances("Embedded outpost")[0]["state"] == "connected", "it is connected")
    garrison.stop()


def test_the_demo(garrison: Garrison) -> None:
    garrison.flags = ["--demo"]
    garrison.start()
    eventually(lambda: "curl" in garrison.program.output(), "what to try is printed")
    said = garrison.program.output()
    demo = re.search(r"Demo application: (\S+)", said)
    passwords = dict(re.findall(r"^  (alice|bob) +(\S+)", said, re.MULTILINE))
    assert demo is not None
    alice = Visitor()
    page = alice.sign_in(demo[1] + "/page?a=b", "alice", passwords["alice"])
    assert (page.status, page.url) == (200, demo[1] + "/page?a=b")
    assert "<td>alice</td>" in page.text
    assert "X-authentik-jwt" in page.text
    forged = alice.get(demo[1] + "/", headers={"X-Authentik-Username": "mallory", "X_Authentik_Username": "mallory"})
    assert ("mallory" in forged.text, "<td>alice</td>" in forged.text) == (False, True)
    bob = Visitor().sign_in(demo[1] + "/", "bob", passwords["bob"])
    assert (bob.status, "<td>" in bob.text) == (403, False)
    ready = "Garrison 0.1.0 is ready"
    assert said.index(ready) < said.index("Demo application")
    garrison.stop()


def test_bad_settings_are_one_line(garrison: Garrison) -> None:
    assert refused(garrison, "--http", "nine") == (
        "garrison: --http: found 'nine'; expected HOST:PORT, like 0.0.0.0:9000, [::1]:9000 or :9000\n"
    )
    assert "AUTHENTIK_LOG_LEVEL: found 'loud'" in refused(garrison, AUTHENTIK_LOG_LEVEL="loud")


def test_another_secret_key_is_said(garrison: Garrison) -> None:
    garrison.start()
    garrison.stop()
    said = refused(garrison, GARRISON_SECRET_KEY="k" * 40)
    assert said == (
        "garrison: GARRISON_SECRET_KEY: found 'another key'; expected the key that the database was made with\n"
    )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _is_read(connection: socket.socket) -> bool:
    """Whether the other end has read all that was sent, by the kernel's own table."""
    ours, theirs = (f"{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername()))
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = row.split()
        if (local.split(":")[1], remote.split(":")[1]) == (theirs, ours):
            return queues.split(":")[1] == "00000000"
    return False
