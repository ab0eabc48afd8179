"""Running a plan of programs until a signal: start, announce when ready, renew what has to be, end in order."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from control.serve.programs import Program
from control.serve.supervisor import Report, Supervisor
from control.store import DatabaseUnavailable

log = logging.getLogger("control.serve")

READY_POLL_SECONDS = 0.05
RENEW_POLL_SECONDS = 2.0
SLOW_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `is_ready` and the `versions` of environments are asked in threads, so they may block.

    A program whose version is another one than before is started anew.
    """

    programs: tuple[Program, ...]
    report: Report
    is_ready: Callable[[], bool]
    announce: Callable[[], None]
    versions: Mapping[str, Callable[[], str]] = field(default_factory=dict)


async def run(plan: Plan) -> None:
    """Run the plan until SIGTERM or SIGINT; a second signal ends everything at once."""
    supervisor = Supervisor(plan.programs, plan.report)
    stopping = _signals(supervisor)
    supervisor.start()
    tasks = [asyncio.create_task(_announce(plan)), asyncio.create_task(_renew(plan, supervisor))]
    await stopping.wait()
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    await supervisor.stop()


def _signals(supervisor: Supervisor) -> asyncio.Event:
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            supervisor.kill()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stopping


async def _announce(plan: Plan) -> None:
    loop = asyncio.get_running_loop()
    warn_at = loop.time() + SLOW_START_SECONDS
    while not await asyncio.to_thread(plan.is_ready):
        if loop.time() > warn_at:
            log.warning("not ready yet", extra={"seconds": SLOW_START_SECONDS})
            warn_at = float("inf")
        await asyncio.sleep(READY_POLL_SECONDS)
    plan.announce()


async def _renew(plan: Plan, supervisor: Supervisor) -> None:
    known = {name: await _version(version) for name, version in plan.versions.items()}
    while True:
        await asyncio.sleep(RENEW_POLL_SECONDS)
        for name, version in plan.versions.items():
            current = await _version(version)
            if current is not None and current != known[name]:
                log.info("what a process was started with changed; it starts anew", extra={"child": name})
                known[name] = current
                supervisor.renew(name)


async def _version(version: Callable[[], str]) -> str | None:
    try:
        return await asyncio.to_thread(version)
    except DatabaseUnavailable:
        # Those who need it say so; here there is time.
        return None
    except Exception:
        log.exception("can't tell whether a process has to start anew")
        return None
