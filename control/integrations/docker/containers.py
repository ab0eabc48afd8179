"""One container's life, step by step: made, started, awaited, renamed, ended. Each step may be done twice.

Who composes them decides what goes back when one fails (replacing). Words of the engine go along in ActionFailed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control.integrations.docker.engine import Engine
from control.integrations.docker.hiding import hide, tokens_in
from control.integrations.docker.refusals import Missing, Refused, Taken, short
from control.integrations.docker.spec import creation, find_key
from control.integrations.model import ActionFailed, Key, Report, Said, TargetAway, Wanted

# As often as that started again within the time to become healthy: it does not stay up.
_RESTARTS = 3
NAME_IN_USE = "name_in_use"
_TOLD_EACH = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """What can be done to containers of an engine while somebody is told of it.

    `is_ready` says whether a container (by its id) is known to do its work: then its health check need not say so too,
    and where it `must_connect`, that is not enough.
    """

    engine: Engine
    is_ready: Callable[[str], bool]
    report: Report
    must_connect: bool = False

    def create(self, wanted: Wanted, name: str) -> str:
        """Make it under a name, instead of what was left of it. Raises ActionFailed: "name_taken" or "not_made"."""
        self.clear(name, wanted.key)
        return self.make(creation(wanted), name)

    def make(self, body: Mapping[str, Any], name: str) -> str:
        """A new container, not yet running. Raises ActionFailed."""
        try:
            return self.engine.create(body, name)
        except Taken as error:
            raise ActionFailed("name_taken", error.words) from error
        except Refused as error:
            raise ActionFailed("not_made", error.words) from error

    def start(self, container: str) -> None:
        """Let it run. Raises ActionFailed ("not_started")."""
        try:
            self.engine.start(container)
        except Refused as error:
            raise ActionFailed("not_started", error.words) from error

    def settle(self, container: str, name: str) -> None:
        """Wait until it is healthy. Raises ActionFailed ("not_healthy", "not_connected")."""
        limits, began = self.engine.limits, time.monotonic()
        told = began
        self.report(Said(code="waiting_healthy", values={"name": name, "seconds": f"{limits.healthy:g}"}))
        while not self._is_well(container, time.monotonic() - began):
            now = time.monotonic()
            if now - began > limits.healthy:
                raise self._too_late(container)
            # Without a code, only to hear whether to go on.
            code, told = ("still_waiting", now) if now - told >= _TOLD_EACH else ("", told)
            self.report(Said(code=code, values={"name": name, "seconds": f"{now - began:.0f}"}))
            time.sleep(limits.poll)
        self.report(Said(code="healthy", values={"name": name, "seconds": f"{time.monotonic() - began:.0f}"}))

    def end(self, container: str) -> None:
        """Let it end by itself, in order, and kill it if it doesn't in time. No harm if it has ended or is gone."""
        try:
            config = self.engine.inspect(container).get("Config") or {}
            # The engine takes it for ended by hand only if the signal is the one that the image names.
            self.engine.kill(container, str(config.get("StopSignal") or "SIGTERM"))
            if not self._has_ended(container):
                self.engine.kill(container, "SIGKILL")
        except (Missing, Taken):
            # Gone, or not running.
            return
        except Refused as error:
            if "is not running" not in error.words:
                raise ActionFailed("not_ended", error.words) from error

    def drop(self, container: str) -> None:
        """End and remove it; no harm if it is gone. Raises ActionFailed ("not_removed")."""
        self.end(container)
        try:
            self.engine.remove(container)
        except Missing:
            return
        except Taken as error:
            # Somebody else removes it right now.
            if "in progress" not in error.words:
                raise ActionFailed("not_removed", error.words) from error
        except Refused as error:
            raise ActionFailed("not_removed", error.words) from error

    def is_there(self, container: str) -> bool:
        """Whether there is one of that id."""
        return self._holder(container) is not None

    def runs(self, container: str) -> bool:
        """Whether it is there and runs, well or not."""
        return ((self._holder(container) or {}).get("State") or {}).get("Status") == "running"

    def rename(self, container: str, name: str, key: Key) -> None:
        """Give it a name that is free, or that something left of the same deployment has. Raises ActionFailed."""
        holder = self._holder(name)
        if holder is not None and holder["Id"] == container:
            return
        self.clear(name, key)
        try:
            self.engine.rename(container, name)
        except Taken as error:
            raise ActionFailed("name_taken", error.words) from error
        except Refused as error:
            raise ActionFailed("not_renamed", error.words) from error

    def clear(self, name: str, key: Key) -> None:
        """Remove what was left of a deployment under a name. Raises as `check_name`."""
        holder = self.check_name(name, key)
        if holder:
            self.drop(holder)

    def check_name(self, name: str, key: Key) -> str:
        """The id of the container of this deployment that has a name, "" for none.

        Raises ActionFailed ("name_taken") where it is somebody else's; TargetAway where that is another deployment's
        of control's kind, which may be about to leave it.
        """
        holder = self._holder(name)
        if holder is None:
            return ""
        found = find_key((holder.get("Config") or {}).get("Labels"))
        if found == key:
            return str(holder["Id"])
        if found is not None:
            raise TargetAway(NAME_IN_USE, name)
        raise ActionFailed("name_taken", name)

    def _holder(self, name: str) -> dict[str, Any] | None:
        try:
            found = self.engine.inspect(name)
        except Missing:
            return None
        # Engines find containers by the beginnings of their ids, too.
        return found if name in {found.get("Id"), str(found.get("Name", "")).removeprefix("/")} else None

    def _is_well(self, container: str, seconds: float) -> bool:
        try:
            state = self.engine.inspect(container)
        except Missing as error:
            raise ActionFailed("not_healthy", error.words) from error
        status = (state.get("State") or {}).get("Status")
        is_tired = status == "restarting" and int(state.get("RestartCount") or 0) >= _RESTARTS
        if status in {"exited", "dead"} or is_tired:
            raise ActionFailed("not_healthy", _ending(state))
        if status != "running":
            return False
        # In this order: its own health check may say that it is of no use to wait.
        return self.is_ready(container) or (self._says_well(state, seconds) and not self.must_connect)

    def _too_late(self, container: str) -> ActionFailed:
        within = f"{self.engine.limits.healthy:g} s"
        if self.must_connect and self.runs(container):
            return ActionFailed("not_connected", within)
        return ActionFailed("not_healthy", self._last_words(container) or f"not within {within}")

    def _says_well(self, state: Mapping[str, Any], seconds: float) -> bool:
        health = (state["State"].get("Health") or {}).get("Status", "none")
        if health == "unhealthy":
            raise ActionFailed("not_healthy", _ending(state))
        if health == "none":
            return seconds >= self.engine.limits.steady and not state.get("RestartCount")
        return bool(health == "healthy")

    def _has_ended(self, container: str) -> bool:
        deadline = time.monotonic() + self.engine.limits.leave
        while (self.engine.inspect(container).get("State") or {}).get("Running"):
            if time.monotonic() > deadline:
                return False
            self.report(Said(code=""))
            time.sleep(min(self.engine.limits.poll, 0.1))
        return True

    def _last_words(self, container: str) -> str:
        try:
            return _ending(self.engine.inspect(container))
        except Missing as error:
            return error.words


def _ending(inspected: Mapping[str, Any]) -> str:
    """Why it isn't healthy: the last answer of its health check, or how it ended."""
    state, secrets = inspected.get("State") or {}, tokens_in(inspected.get("Config") or {})
    log = (state.get("Health") or {}).get("Log") or []
    if state.get("Status") == "running":
        return short(hide(f"health check: {log[-1].get('Output', '')}", secrets)) if log else ""
    return short(hide(f"exit code {state.get('ExitCode', '')} {state.get('Error') or ''}", secrets))
