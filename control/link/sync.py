"""Bringing one instance to what is wanted, as a pure state machine: what it holds, what is on its way, what it refused.

At most one push is in flight; while it is, newer states only take each other's place and the newest wins. A version
that was refused is not sent again until it differs.

What an instance holds is, but for a few keys, what was wanted when it last was in line: a mapping that streams share.
So looking for what it lacks costs what has changed since, and a stream takes no memory for what all hold.
"""

from collections.abc import Iterable, Mapping
from typing import Generic

from control.link.layers import differing
from control.link.messages import Applied, Hello, Item, Push, Rejected, Wanted

_NONE = ""


class Sync(Generic[Item]):
    """The state of one stream."""

    def __init__(self) -> None:
        self.refused: dict[str, Rejected] = {}
        self.in_flight: Push[Item] | None = None
        self.revision = 0
        # What was wanted when the instance was in line, and the digests of what it holds apart from that.
        self._base: Mapping[str, Item] = {}
        self._apart: dict[str, str] = {}
        self._target: Mapping[str, Item] = {}

    @property
    def held(self) -> dict[str, str]:
        """Key to digest of all the instance holds."""
        digests = {key: item.digest for key, item in self._base.items()} | self._apart
        return {key: digest for key, digest in digests.items() if digest}

    def hello(self, hello: Hello) -> None:
        """The instance says what it holds; whatever was on its way is no longer counted on."""
        self._base, self._apart = {}, dict(hello.held)
        # What it refused once it may have taken since, of its own accord.
        self.refused = {key: each for key, each in self.refused.items() if self._held(key) != each.digest}
        self.revision = hello.revision
        self.in_flight = None

    def next_push(self, wanted: Wanted[Item]) -> Push[Item] | None:
        """What to send now, which is then in flight; None while something is, or when nothing differs."""
        if self.in_flight is not None:
            return None
        push = self._difference(wanted)
        if push is None:
            self.revision = wanted.revision
            self._rebase(wanted.resources, {key: self._held(key) for key in self._odd()})
        self.in_flight = push
        self._target = wanted.resources
        return push

    def applied(self, applied: Applied) -> bool:
        """The instance has committed a push; False when it is not the one in flight."""
        push = self.in_flight
        if push is None or push.revision != applied.revision:
            return False
        self.in_flight = None
        self.revision = push.revision
        self._take(push, {each.key: each for each in applied.rejected if self._knows(each.key)})
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
        held = {key: self._held(key) for key in self._odd() | sent.keys()}
        self._rebase(self._target, held | taken | dict.fromkeys(push.removed, _NONE))
        # What was to be removed is not asked for again, or a stubborn instance would be told so without end.
        self.refused = {key: refusal for key, refusal in standing.items() if key not in push.removed}

    def _rebase(self, base: Mapping[str, Item], held: Mapping[str, str]) -> None:
        """Be in line with `base`, but for those of `held` that differ from it."""
        self._base = base
        self._apart = {key: digest for key, digest in held.items() if digest != _digest(base, key)}

    def _knows(self, key: str) -> bool:
        """Whether the instance may refuse that at all: other names would only be kept, as many as it likes."""
        return key in self._target or key in self.refused or bool(self._held(key))

    def _odd(self) -> set[str]:
        """Keys that may be held at another version than the base's."""
        return self._apart.keys() | self.refused.keys()

    def _held(self, key: str) -> str:
        """The digest of what is held, empty where nothing is."""
        return self._apart[key] if key in self._apart else _digest(self._base, key)

    def _difference(self, wanted: Wanted[Item]) -> Push[Item] | None:
        suspects = sorted(differing(self._base, wanted.resources) | self._odd())
        resources = tuple(self._lacking(suspects, wanted.resources))
        # What was refused goes too: the instance may keep it, to try it again.
        gone = (key for key in suspects if key not in wanted.resources)
        removed = tuple(key for key in gone if self._held(key) or key in self.refused)
        if not resources and not removed:
            return None
        return Push(revision=wanted.revision, resources=resources, removed=removed)

    def _lacking(self, keys: Iterable[str], wanted: Mapping[str, Item]) -> Iterable[Item]:
        for key in keys:
            item = wanted.get(key)
            if item is not None and self._held(key) != item.digest and not _is_refused(self.refused, key, item.digest):
                yield item

    def _expected_digest(self, key: str, digest: str) -> str:
        return self._held(key) if _is_refused(self.refused, key, digest) else digest


def _digest(resources: Mapping[str, Item], key: str) -> str:
    item = resources.get(key)
    return _NONE if item is None else item.digest


def _is_refused(refused: Mapping[str, Rejected], key: str, digest: str) -> bool:
    refusal = refused.get(key)
    return refusal is not None and refusal.digest == digest
