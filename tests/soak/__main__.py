"""Chaos: outposts and control are killed, stopped, frozen and cut off at random while the configuration changes.

Real programs: one `garrison serve`, and outposts of one worker each, five copies a group behind what stands for a load
balancer. Two copies of a group are always left alone; lines and control may fail at any time, control's processes in
the first half, so that what leaks shows in the second. In the end everything heals, and then every outpost holds what
control wants it to, every session is worth what it should be, and nobody who was signed in has seen an error.
Fifty outposts take about 7 GB of memory and, on two cores, two minutes to start. Before that, a million wrong LDAP
messages are read (tests/soak/messages.py).
"""

import argparse
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.soak import fleet as fleets
from tests.soak import messages, verdict
from tests.soak.changes import Script
from tests.soak.faults import Faults
from tests.soak.fleet import Fleet
from tests.soak.visits import Visits
from tests.support import peers_program

HEALS_WITHIN = 150.0
REPORT_EVERY = 5.0
# Between two faults, in seconds.
PACE = 0.2, 1.2


def main() -> int:
    """Run it; 0 when all was well."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__, formatter_class=_Plain)
    parser.add_argument("--minutes", type=float, default=5.0, help="of chaos; start and verdict come on top (5)")
    parser.add_argument("--outposts", type=int, default=50, help="how many copies of outposts (50); 0 for none")
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many wrong LDAP messages (1,000,000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of what is done, not of when")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gs-"))
    _say(f"seed {given.seed}, {given.outposts} outposts, {given.minutes:g} minutes, files in {folder}")
    try:
        problems = list(messages.problems(given.messages, random.Random(given.seed), _say))
        if given.outposts:
            problems += _soak(folder, given.outposts, given.minutes * 60, random.Random(given.seed))
    except BaseException as error:
        problems = [f"it broke off: {error!r}"]
        raise
    finally:
        peers_program.keep_logs(folder / "logs") if problems else None
        peers_program.kill_all()
        _tell(problems, given.seed, folder)
    return 1 if problems else 0


def _tell(problems: list[str], seed: int, folder: Path) -> None:
    for problem in problems[:40]:
        _say(f"NOT WELL: {problem}")
    if problems:
        _say(f"{len(problems)} problems; seed {seed}; logs in {folder / 'logs'}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        _say("all is well")


def _soak(folder: Path, outposts: int, seconds: float, chance: random.Random) -> Iterator[str]:
    began = time.monotonic()
    for step, fleet in enumerate(fleets.start(folder, outposts), 1):
        _say(f"starting: step {step} of {2 * len(fleet.groups)}, {time.monotonic() - began:.0f} s")
    yield from _settle(fleet, "before anything broke", lambda: True)
    before = verdict.usage(fleet)
    run = Run(fleet, chance)
    run.lasts(seconds)
    yield from run.ends()
    after = verdict.usage(fleet)
    yield from verdict.grown(before, after)
    for name, has in after.items():
        _say(
            f"{name}: {before[name].memory:.0f} -> {has.memory:.0f} MiB, "
            f"{before[name].descriptors} -> {has.descriptors} descriptors"
        )
    yield from verdict.shut_out(fleet)
    yield from _stop(fleet)


def _settle(fleet: Fleet, when: str, healed: Callable[[], bool]) -> Iterator[str]:
    """Wait until all is so again, or tell what isn't."""
    deadline = time.monotonic() + HEALS_WITHIN
    checks = (verdict.unsettled, verdict.differing, verdict.misjudged)
    problems = ["faults are not over"]
    while problems and time.monotonic() < deadline:
        time.sleep(0.5)
        problems = [] if healed() else ["faults are not over"]
        for check in checks:
            problems = problems or list(check(fleet))
    yield from (f"{when}: {problem}" for problem in problems)


def _stop(fleet: Fleet) -> Iterator[str]:
    begun = verdict.sessions(fleet)
    fleet.close()
    with ThreadPoolExecutor(len(fleet.members)) as pool:
        codes = list(pool.map(lambda member: member.program.stop(within=30), fleet.members))
    yield from (f"{member.name} ended with {code}" for member, code in zip(fleet.members, codes, strict=True) if code)
    fleet.garrison.stop()
    yield from verdict.left(begun)


class Run:
    """The chaos itself."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self._faults = Faults(fleet, random.Random(chance.random()))
        self._script = Script(fleet, random.Random(chance.random()))
        self._visits = Visits(fleet, random.Random(chance.random()))
        self._began = self._reported = time.monotonic()

    def lasts(self, seconds: float) -> None:
        """Break and change things for so long."""
        self._script.start()
        self._visits.start()
        strike_at = time.monotonic()
        while (now := time.monotonic()) < self._began + seconds:
            self._faults.spares_control = now > self._began + seconds / 2
            self._faults.look()
            if now >= strike_at:
                self._faults.strike()
                strike_at = now + self._chance.uniform(*PACE)
            self._report()
            time.sleep(0.05)

    def ends(self) -> Iterator[str]:
        """Let all heal, and say what isn't well then."""
        self._script.finish()
        self._visits.finish()
        self._faults.heal()
        began = time.monotonic()
        yield from _settle(self._fleet, "after all had healed", self._faults.is_over)
        _say(f"healed within {time.monotonic() - began:.1f} s")
        self._report(last=True)
        for name, counts in (
            ("faults", self._faults.counts),
            ("changes", self._script.counts),
            ("sign-ins", self._visits.counts),
        ):
            _say(f"{name}: {_listed(counts)}")
        yield from verdict.errors_seen(self._fleet)
        yield from self._script.failures
        yield from self._visits.failures

    def _report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if now < self._reported + REPORT_EVERY and not last:
            return
        self._reported = now
        answers = [seen for probe in self._fleet.probes for seen in probe.answers]
        steady = [seen for person in self._fleet.steady for seen in person.probe.answers]
        troubled = [member for member in self._fleet.members if member.trouble]
        errors = sum(seen.status != 200 for seen in steady)
        _say(
            f"{now - self._began:5.0f} s  {len(troubled):2} of {len(self._fleet.members)} in trouble  "
            f"{self._faults.counts.total()} faults  {self._script.counts.total()} changes  "
            f"{self._visits.counts.total()} sign-ins  {len(answers)} checks, slowest "
            f"{max((seen.took for seen in steady), default=0):.1f} s, {errors} errors"
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _say(text: str) -> None:
    sys.stdout.write(f"soak: {text}\n")
    sys.stdout.flush()


class _Plain(argparse.RawDescriptionHelpFormatter):
    """The text above as it is."""


if __name__ == "__main__":
    sys.exit(main())
