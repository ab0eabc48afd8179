"""A worker process: what it is given of its supervisor's environment, and how long it is waited for."""

import asyncio
import os
import signal
import socket
import sys
import time

import pytest

from dataplane.runtime import process
from dataplane.runtime.messages import Ping
from dataplane.runtime.process import WorkerGone, WorkerProcess, environment_of_worker


def test_a_worker_has_no_settings_nor_what_they_name() -> None:
    ours = {
        "AUTHENTIK_HOST": "https://auth.example.com",
        "AUTHENTIK_TOKEN": "env://EDGE_TOKEN",
        "EDGE_TOKEN": "secret",
        "AUTHENTIK_INSECURE": "env://LAB?true",
        "LAB": "false",
        "GARRISON_LINK": "env://UNSET",
        "PATH": "/bin",
        "OTHER": "env://PATH",
    }
    kept = {name: value for name, value in environment_of_worker(ours).items() if not name.startswith("MALLOC_")}
    assert kept == {"PATH": "/bin", "OTHER": "env://PATH", "GEVENT_LOOP": "libev-cext"}


def test_what_the_operator_says_of_memory_counts() -> None:
    assert environment_of_worker({"MALLOC_TRIM_THRESHOLD_": "1"})["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert int(environment_of_worker({})["MALLOC_TRIM_THRESHOLD_"]) > 1 << 20


STUB = """
import socket, sys, time
from dataplane.runtime.messages import Ping, Pong, Ready
from dataplane.runtime.pipe import Frames, encode
end = socket.socket(fileno=int(sys.argv[1]))
end.sendall(encode(Ready()))
frames = Frames()
while data := end.recv(65536):
    frames.receive(data)
    for message in frames.messages():
        if isinstance(message, Ping):
            until = time.monotonic() + float(sys.argv[3])
            while time.monotonic() < until:
                time.sleep(0.1) if sys.argv[2] == "hangs" else None
            end.sendall(encode(Pong(serial=message.serial)))
"""


def ping(how: str, seconds: float, *, lenient: bool = True) -> str:
    """What becomes of a question with a deadline of half a second to a worker that takes so long, at work or not."""

    async def run() -> str:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", STUB, str(theirs.fileno()), how, str(seconds), pass_fds=(theirs.fileno(),)
            )
        worker = WorkerProcess(process, 0, lambda _: None)
        await worker.attach(ours)
        await worker.ready(20.0)
        try:
            await worker.ask(lambda serial: Ping(serial=serial), 0.5, lenient=lenient)
        except WorkerGone as gone:
            return str(gone)
        else:
            return "answered"
        finally:
            worker.kill()
            await worker.wait()

    return asyncio.run(run())


def test_a_worker_that_is_at_work_is_waited_for_and_one_that_hangs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LENIENCY", 3)
    monkeypatch.setattr(process, "_AT_WORK", 0.03)  # tests share the machine with each other
    assert ping("works", 0.7) == "answered"
    assert ping("hangs", 20.0) == "worker 0 gave no answer within 0.5 s"
    assert ping("works", 20.0) == "worker 0 gave no answer within 1.5 s"
    assert ping("works", 20.0, lenient=False) == "worker 0 gave no answer within 0.5 s"


def test_who_kills_one_that_is_dying_learns_what_it_died_of() -> None:
    """Popen.kill() looks first whether there is anything to kill, and takes the exit status away with that."""

    async def end(moment: float) -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        worker = WorkerProcess(process, 0, lambda _: None)
        os.kill(process.pid, signal.SIGSEGV)
        time.sleep(moment)  # noqa: ASYNC251  the loop is not to hear of the end before
        worker.kill()
        return await worker.wait()

    async def ends() -> set[int]:
        return {await end(0.0005 * (number % 4)) for number in range(100)}

    assert asyncio.run(ends()) <= {-signal.SIGSEGV, -signal.SIGKILL}
