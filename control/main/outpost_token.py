"""The token that an outpost of this machine is started with, and whether it has to be started anew for one that counts.

That is the front door, and with `--demo` the outposts beside it. A rotation reaches it over the link and lies in its
state, so that one alone starts nothing anew: only where neither what it was given nor what it holds is valid any more,
as after a leak, there is no other way. While no token is valid at all it is left as it is, as any outpost would be.
"""

from collections.abc import Callable
from pathlib import Path

from control.domain.outpost import Outpost
from control.fleet.tokens import valid_tokens
from control.store import Store, Unit


class OutpostToken:
    """Asked at each start of the program for the token, and now and then for the version of its environment.

    `find` says which outpost it is.
    """

    def __init__(self, store: Store, state: Path, find: Callable[[Unit], Outpost | None]) -> None:
        self._store = store
        self._state = state
        self._find = find
        self._given = ""
        self._version = ""

    def take(self) -> str | None:
        """The text of AUTHENTIK_TOKEN for a start now."""
        with self._store.read() as unit:
            valid = _valid(unit, self._find(unit))
        newest, secret = next(iter(valid.items()), ("", None))
        self._given = newest
        return secret

    def version(self) -> str:
        """Another than before when the program has to start anew."""
        with self._store.read() as unit:
            outpost = self._find(unit)
            valid = _valid(unit, outpost)
            has = {self._given, self._held(unit, outpost)}
        if valid and not has & valid.keys():
            self._version = next(iter(valid))
        return self._version

    def _held(self, unit: Unit, outpost: Outpost | None) -> str:
        """What lies in the state, as the link was told."""
        if outpost is None:
            return ""
        mine = (each for each in unit.instances.of_outpost(outpost.id) if each.uid == self._instance())
        return next((each.held_token for each in mine), "")

    def _instance(self) -> str:
        try:
            return (self._state / "instance").read_text("ascii").strip()
        except (OSError, ValueError):
            return ""


def find_embedded(unit: Unit) -> Outpost | None:
    """The outpost of the front door."""
    return unit.outposts.find_embedded()


def _valid(unit: Unit, outpost: Outpost | None) -> dict[str, str]:
    """Fingerprint to secret of what counts, the newest first."""
    if outpost is None:
        return {}
    tokens = valid_tokens(unit.tokens.of_user(outpost.service_account), unit.now)
    return {token.fingerprint: token.secret for token in tokens}
