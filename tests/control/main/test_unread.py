"""`garrison serve` whose output nobody reads: a stalled `docker logs` or journal stops nothing."""

import fcntl
import json
import os
import select
from collections.abc import Iterator

import pytest

from tests.support.garrison import Garrison, short_folder
from tests.support.peers_http import ask

REFUSED = b"refused an enrolment"
TO_A_PIPE = 'exec "$@" > "$0" 2>&1'


@pytest.fixture
def pipe() -> Iterator[tuple[Garrison, int]]:
    """An installation whose processes all write into one small pipe; its reading end."""
    with short_folder() as folder:
        path = folder / "pipe"
        os.mkfifo(path)
        # Both ways: it has no end, and whoever writes finds somebody there.
        end = os.open(path, os.O_RDWR)
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        yield Garrison(folder, pinned=("sh", "-c", TO_A_PIPE, str(path))), end
        os.close(end)


def test_all_processes_serve_and_say_all_once_somebody_reads_and_stop_in_any_case(pipe: tuple[Garrison, int]) -> None:
    garrison, end = pipe
    garrison.start()
    before = (garrison.data / "run" / "processes.json").read_text()
    _enrol_strangers(garrison, 100)
    assert ask(garrison.http, "/sign-in", host=garrison.host).status == 200
    assert (garrison.data / "run" / "processes.json").read_text() == before
    said = b""
    while said.count(REFUSED) < 100:
        assert select.select([end], [], [], 10)[0], said
        said += os.read(end, 65536)
    assert f"is ready at {garrison.url}\n".encode() in said
    assert all(json.loads(line) for line in said.splitlines() if REFUSED in line)
    assert "garrison_log_lines_dropped_total 0.0" in ask(garrison.metrics, "/metrics").text
    _enrol_strangers(garrison, 50)
    garrison.stop()


def _enrol_strangers(garrison: Garrison, times: int) -> None:
    """Each is a line of the web process; of one address they would be too many soon."""
    for number in range(times):
        stranger = [("X-Forwarded-For", f"10.1.{number}.{times}"), ("Content-Length", "0")]
        assert ask(garrison.http, "/-/enrol", host=garrison.host, method="POST", headers=stranger).status == 400
