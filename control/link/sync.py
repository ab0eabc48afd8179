"""Bringing one instance to what is wanted, as a pure state machine: what it holds, what is on its way, what it refused.

At most one push is in flight; while it is, newer states only take each other's place and the newest wins. A version
that was refused is not sent again until it differs.
"""

from collections.abc import Mapping
from typing import Generic

from control.link.messages import Applied, Hello, Item, Push, Rejected, Wanted


class Sync(Generic[Item]):
    """The state of one stream."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.refused: dict[str, Rejected] = {}
        self.in_flight: Push[Item] | None = None
        self.revision = 0

    def hello(self, hello: Hello) -> None:
        """The instance says what it holds; whatever was on its way is no longer counted on."""
        self.held = dict(hello.held)
        # What it refused once it may have taken since, of its own accord.
        self.refused = {key: each for key, each in self.refused.items() if self.held.get(key) != each.digest}
        self.revision = hello.revision
        self.in_flight = None

    def next_push(self, wanted: Wanted[Item]) -> Push[Item] | None:
        """What to send now, which is then in flight; None while something is, or when nothing differs."""
        if self.in_flight is not None:
            return None
        push = self._difference(wanted)
        if push is None:
            self.revision = wanted.revision
        self.in_flight = push
        return push

    def applied(self, applied: Applied) -> bool:
        """The instance has committed a push; False when it is not the one in flight."""
        push = self.in_flight
        if push is None or push.revision != applied.revision:
            return False
        self.in_flight = None
        self.revision = push.revision
        self._take(push, {each.key: each for each in applied.rejected})
        return True

    def expected(self, wanted: Wanted[Item]) -> dict[str, str]:
        """Key to digest of what the instance should hold, refusals considered."""
        keys = {key: self._expected_digest(key, item.digest) for key, item in wanted.resources.items()}
        return {key: digest for key, digest in keys.items() if digest}

    def _take(self, push: Push[Item], standing: dict[str, Rejected]) -> None:
        """`standing` is all the instance refuses now, whichever push brought it: what it no longer does, it holds."""
        sent = {item.key: item.digest for item in push.resources}
        accepted = {key: refusal.digest for key, refusal in self.refused.items() if key not in standing}
        taken = {key: digest for key, digest in (accepted | sent).items() if not _is_refused(standing, key, digest)}
        self.held.update(taken)
        for key in push.removed:
            self.held.pop(key, None)
        # What was to be removed is not asked for again, or a stubborn instance would be told so without end.
        self.refused = {key: refusal for key, refusal in standing.items() if key not in push.removed}

    def _difference(self, wanted: Wanted[Item]) -> Push[Item] | None:
        resources = tuple(item for key, item in wanted.resources.items() if self._is_lacking(key, item.digest))
        # What was refused goes too: the instance may keep it, to try it again.
        removed = tuple(sorted((self.held.keys() | self.refused.keys()) - wanted.resources.keys()))
        if not resources and not removed:
            return None
        return Push(revision=wanted.revision, resources=resources, removed=removed)

    def _is_lacking(self, key: str, digest: str) -> bool:
        return self.held.get(key) != digest and not _is_refused(self.refused, key, digest)

    def _expected_digest(self, key: str, digest: str) -> str:
        return self.held.get(key, "") if _is_refused(self.refused, key, digest) else digest


def _is_refused(refused: Mapping[str, Rejected], key: str, digest: str) -> bool:
    refusal = refused.get(key)
    return refusal is not None and refusal.digest == digest
