"""What breaks: copies of outposts, their workers, their lines, control's processes. Each fault ends after a while.

A fault begins in one call and ends in another; nothing here waits. At least two copies of each group are left alone,
as whoever runs several does on purpose; lines may fail everywhere at once.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from control.fleet.instances import ask_drain
from control.store import SYSTEM
from tests.soak.fleet import Fleet, Group, Member
from tests.support.relay import Cut, CutAfter, Delay, Forward, HalfOpen, Hold, Line, Throttle

LEFT_ALONE = 2
Act = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a fault ends, and how."""

    at: float
    act: Act


class Faults:
    """Breaks things at random, as the generator says. `counts` by name."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self._endings: list[Ending] = []
        self._recovering: list[Member] = []
        self._control_is_well = True
        self.counts: Counter[str] = Counter()
        self.spares_control = False

    def look(self) -> None:
        """End what is over; see who has recovered."""
        now = time.monotonic()
        due = [ending for ending in self._endings if ending.at <= now]
        self._endings = [ending for ending in self._endings if ending.at > now]
        for ending in due:
            ending.act()
        for member in [member for member in self._recovering if member.is_ready()]:
            member.trouble = ""
            self._recovering.remove(member)
        for group in self._fleet.groups:
            group.balance()

    def strike(self) -> None:
        """Break one thing more."""
        kinds: list[Callable[[], str]] = [self._break_member] * 6 + [self._break_line] * 4 + [self._break_control] * 4
        name = self._chance.choice(kinds)()
        if name:
            self.counts[name] += 1

    def heal(self) -> None:
        """End everything now."""
        for ending in self._endings:
            ending.act()
        self._endings = []
        for member in self._fleet.members:
            member.line.become(Forward())

    def is_over(self) -> bool:
        """Whether nothing is left of any fault."""
        self.look()
        return not self._recovering and not self._endings and self._control_is_well

    # Copies of outposts.

    def _break_member(self) -> str:
        groups = [group for group in self._fleet.groups if len(group.well) > LEFT_ALONE]
        if not groups:
            return ""
        group = self._chance.choice(groups)
        member = self._chance.choice(group.well)
        faults: dict[str, Callable[[Group, Member], None]] = {
            "outpost killed": self._kill,
            "outpost stopped": self._stop,
            "outpost drained": self._drain,
            "state lost": self._lose_state,
            "supervisor frozen": self._freeze,
            "worker killed": self._kill_worker,
            "worker frozen": self._freeze_worker,
        }
        name = self._chance.choice(list(faults))
        member.trouble = name
        faults[name](group, member)
        return name

    def _kill(self, _group: Group, member: Member) -> None:
        member.send(signal.SIGKILL)
        self._later(0.2, 5.0, lambda: self._relaunch(member))

    def _stop(self, _group: Group, member: Member) -> None:
        member.send(signal.SIGTERM)
        self._later(1.0, 5.0, lambda: self._relaunch(member))

    def _drain(self, group: Group, member: Member) -> None:
        with suppress(Exception), self._fleet.store.write(SYSTEM) as unit:
            ask_drain(unit, unit.outposts.get_named(group.name), member.uid)
        self._later(2.0, 5.0, lambda: self._relaunch(member))

    def _lose_state(self, _group: Group, member: Member) -> None:
        member.send(signal.SIGKILL)
        member.program.process.wait(10)
        member.forget()
        self._later(0.2, 2.0, lambda: self._relaunch(member))

    def _freeze(self, _group: Group, member: Member) -> None:
        member.send(signal.SIGSTOP)
        self._later(1.0, 25.0, lambda: self._thaw(member))

    def _kill_worker(self, _group: Group, member: Member) -> None:
        member.send_to_worker(signal.SIGKILL)
        self._later(1.0, 1.0, lambda: self._recovering.append(member))

    def _freeze_worker(self, _group: Group, member: Member) -> None:
        frozen = member.workers
        member.send_to_worker(signal.SIGSTOP)

        def thaw() -> None:
            for pid in frozen:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._recovering.append(member)

        self._later(1.0, 12.0, thaw)

    def _thaw(self, member: Member) -> None:
        member.send(signal.SIGCONT)
        self._recovering.append(member)

    def _relaunch(self, member: Member) -> None:
        if not member.program.ended():
            member.program.kill()
        member.launch()
        self._recovering.append(member)

    # Lines.

    def _break_line(self) -> str:
        member = self._chance.choice(self._fleet.members)
        lines: dict[str, Line] = {
            "line cut": Cut(),
            "line cut in a push": CutAfter(size=self._chance.randint(1, 20_000)),
            "line silent": Hold(),
            "line half-open": HalfOpen(),
            "line slow": Delay(seconds=self._chance.uniform(0.05, 0.5)),
            "line narrow": Throttle(rate=5_000),
        }
        name = self._chance.choice(list(lines))
        member.line.become(lines[name])
        self._later(0.5, 25.0, lambda: member.line.become(Forward()))
        return name

    # Control.

    def _break_control(self) -> str:
        if not self._control_is_well or self.spares_control:
            return ""
        faults: dict[str, Callable[[], None]] = {
            "control killed": lambda: self._end_control(signal.SIGKILL),
            "control stopped": lambda: self._end_control(signal.SIGTERM),
            "link killed": lambda: self._signal_control("link", signal.SIGKILL),
            "web killed": lambda: self._signal_control("web", signal.SIGKILL),
            "front door killed": lambda: self._signal_control("proxy", signal.SIGKILL),
            "link frozen": lambda: self._freeze_control("link"),
            "web frozen": lambda: self._freeze_control("web"),
        }
        name = self._chance.choice(list(faults))
        self._control_is_well = False
        faults[name]()
        return name

    def _end_control(self, number: signal.Signals) -> None:
        program = self._fleet.garrison.program
        os.kill(program.process.pid, number)

        def again() -> None:
            program.kill()
            self._fleet.garrison.launch()
            self._await_control()

        self._later(0.5, 8.0, again)

    def _signal_control(self, name: str, number: signal.Signals) -> None:
        pid = self._fleet.processes().get(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        self._later(1.0, 1.0, self._await_control)

    def _freeze_control(self, name: str) -> None:
        pid = self._fleet.processes().get(name)
        self._signal_control(name, signal.SIGSTOP)
        self._endings.pop()

        def thaw() -> None:
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._await_control()

        self._later(0.5, 12.0, thaw)

    def _await_control(self) -> None:
        """Look again and again until it serves, without waiting for it."""
        try:
            self._control_is_well = self._fleet.garrison.is_ready()
        except OSError:
            self._control_is_well = False
        if not self._control_is_well:
            self._later(0.25, 0.25, self._await_control)

    def _later(self, least: float, most: float, act: Act) -> None:
        self._endings.append(Ending(at=time.monotonic() + self._chance.uniform(least, most), act=act))
