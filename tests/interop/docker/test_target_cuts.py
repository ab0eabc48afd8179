"""A replacement cut off before any of the calls that change something, which is also after the one before.

The next plan brings the engine to what is wanted, or back to what served; nothing else is left.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from control.integrations.docker.dialing import UnixDialer
from control.integrations.docker.engine import Engine as Connected
from control.integrations.docker.target import DockerTarget
from control.integrations.model import Condition, Found, Wanted
from control.integrations.reconcile import Outcome, reconcile
from tests.support.engine_wanted import QUICK, deaf, owner_and_name, wanted_container
from tests.support.peers_program import free_port

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("tiny_images")]


class CutOff(Exception):
    """As if the process had been killed."""


class Scissors(Connected):
    """An engine that is cut off after so many calls that change something."""

    left: float = math.inf

    @contextmanager
    def _asking(self, call: str, seconds: float | None = None) -> Iterator[None]:
        if not call.startswith("GET") and "_nobody" not in call:
            if self.left == 0:
                raise CutOff
            self.left -= 1
        with super()._asking(call, seconds):
            yield


# Whether containers may be renamed, and whether a port is mapped, which two can't have at once.
WAYS = {"beside": (True, False), "aside": (True, True), "anew": (False, True)}


def test_cut_off_anywhere(engine_socket: Path) -> None:
    """All of them beside each other, since each waits most of the time; none has anything of another's."""
    cases = [(_what_is_wanted_is_there_in_the_end, way) for way in WAYS]
    # What had to go first (anew) can't be had back.
    cases += [(_what_served_serves_where_the_new_one_comes_to_nothing, way) for way in ("beside", "aside")]
    with ThreadPoolExecutor(len(cases)) as pool:
        for ended in [pool.submit(_run, case, way, engine_socket) for case, way in cases]:
            ended.result()


Case = Callable[[Scissors, str], None]


def _run(case: Case, way: str, path: Path) -> None:
    with closing(Scissors(UnixDialer(str(path)), QUICK)) as engine:
        case(engine, way)


def _what_is_wanted_is_there_in_the_end(scissors: Scissors, way: str) -> None:
    owner, name = owner_and_name()
    port = free_port()
    old, new = (_wanted(owner, name, image, way, port) for image in ("well:1", "well:2"))
    scissors.can_rename = WAYS[way][0]
    _bring(scissors, old)
    for calls in range(20):
        was_cut = _bring_cut(scissors, new, calls)
        _bring(scissors, new)

        (found,) = _look(scissors, owner)
        assert (found.name, found.fingerprint, found.condition) == (name, new.fingerprint, Condition.RUNNING), calls
        old, new = new, old
        if not was_cut:
            break
    _bring(scissors, None, owner)
    assert calls >= 4


def _what_served_serves_where_the_new_one_comes_to_nothing(scissors: Scissors, way: str) -> None:
    """Even where the attempt before was cut off."""
    owner, name = owner_and_name()
    port = free_port()
    old, new = _wanted(owner, name, "well:1", way, port), _wanted(owner, name, "sick:1", way, port)
    _bring(scissors, old)
    for calls in range(20):
        was_cut = _bring_cut(scissors, new, calls)
        if was_cut:
            outcome = _bring(scissors, new)
            assert [failure.code for failure in outcome.failed] == ["not_healthy"]

        (found,) = _look(scissors, owner)
        assert (found.name, found.fingerprint) == (name, old.fingerprint), calls
        assert found.condition in {Condition.RUNNING, Condition.STARTING}
        if not was_cut:
            break
    _bring(scissors, None, owner)
    assert calls >= 3


def _wanted(owner: UUID, name: str, image: str, way: str, port: int) -> Wanted:
    ports = (f"{port}:9000/tcp",) if WAYS[way][1] else ()
    return wanted_container(owner, name, image, ports=ports)


def _target(engine: Connected) -> DockerTarget:
    return DockerTarget(engine, lambda _: False)


def _look(engine: Connected, owner: UUID) -> tuple[Found, ...]:
    return _target(engine).observe(frozenset({owner}))


def _bring(engine: Scissors, wanted: Wanted | None, owner: UUID | None = None) -> Outcome:
    desired = [wanted] if wanted else []
    return reconcile(_target(engine), desired, frozenset({owner} if owner else ()), deaf)


def _bring_cut(engine: Scissors, wanted: Wanted, calls: int) -> bool:
    """Whether there were so many calls."""
    engine.left = calls
    try:
        _bring(engine, wanted)
    except CutOff:
        return True
    else:
        return False
    finally:
        engine.left = math.inf
