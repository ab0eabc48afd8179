"""What ends a session before its time, and what overrides its cookie. Altered by `commit` alone, in one go.

A look-up costs a few dict accesses however many entries there are: `Ended` entries are indexed by the combination
of fields they set, and there are at most eight of those. A commit costs what it changes, however many there are.
"""

from collections import Counter
from typing import TypeVar

from dataplane.config import Changed, Edit, Ended
from dataplane.gate import ProxySession, SessionReference

_Key = tuple[str, str, str]
_Shape = tuple[bool, bool, bool]
_IndexKey = TypeVar("_IndexKey")
_Entry = TypeVar("_Entry", Ended, Changed)


class Revocations:
    """All Ended and Changed entries; other resources are none of its business."""

    __slots__ = ("_changed", "_ended", "_entries", "_shapes", "_sizes")

    def __init__(self) -> None:
        self._entries: dict[str, Ended | Changed] = {}
        # More than one entry may say the same, ours and control's among them.
        self._ended: dict[_Key, tuple[Ended, ...]] = {}
        self._changed: dict[str, tuple[Changed, ...]] = {}
        self._sizes: Counter[_Shape] = Counter()
        self._shapes: tuple[_Shape, ...] = ()

    def __len__(self) -> int:
        return len(self._entries)

    def commit(self, edit: Edit) -> None:
        """Judge by what the edit leaves from now on."""
        for key in edit.touched & self._entries.keys():
            self._remove(self._entries.pop(key))
        for key, resource in edit.changed.items():
            if isinstance(resource, Ended | Changed):
                self._entries[key] = resource
                self._add(resource)

    def is_ended(self, session: ProxySession, provider: str) -> bool:
        """Whether an entry ends this session at this provider."""
        for by_session, by_subject, by_provider in self._shapes:
            key = (
                session.id if by_session else "",
                session.identity.subject if by_subject else "",
                provider if by_provider else "",
            )
            entries = self._ended.get(key)
            # A sign-in that is named is over, whatever the clock said that wrote `before`: its id never comes again.
            if entries is not None and ((by_session and not by_provider) or _are_later(entries, session.authenticated)):
                return True
        return False

    def is_signed_out(self, session: SessionReference) -> bool:
        """Whether the whole sign-in behind a session is known to be over, not only here."""
        if (session.session, "", "") in self._ended:
            return True
        return _are_later(self._ended.get(("", session.subject, ""), ()), session.authenticated)

    def find_change(self, session: ProxySession) -> Changed | None:
        """What has become true of the person since this session was signed in."""
        changes = self._changed.get(session.identity.subject)
        return changes[-1] if changes is not None and session.authenticated < changes[-1].at else None

    def _add(self, entry: Ended | Changed) -> None:
        match entry:
            case Ended():
                key = _key(entry)
                if key not in self._ended:
                    self._count(key, 1)
                self._ended[key] = (*self._ended.get(key, ()), entry)
            case Changed():
                subject = entry.identity.subject
                # The latest last: it is the one that counts.
                others = self._changed.get(subject, ())
                self._changed[subject] = tuple(sorted((*others, entry), key=lambda each: each.at))

    def _remove(self, entry: Ended | Changed) -> None:
        match entry:
            case Ended():
                key = _key(entry)
                if not _drop(self._ended, key, entry):
                    self._count(key, -1)
            case Changed():
                _drop(self._changed, entry.identity.subject, entry)

    def _count(self, key: _Key, number: int) -> None:
        """Look for a shape only while there are entries of it."""
        session, subject, provider = key
        shape = (bool(session), bool(subject), bool(provider))
        self._sizes[shape] += number
        if bool(self._sizes[shape]) != (shape in self._shapes):
            self._shapes = tuple(sorted(shape for shape, size in self._sizes.items() if size))


def revocations_of(edit: Edit) -> Edit:
    """The part of the edit that says whose sessions have ended or changed; what it takes away is all the rest."""
    changed = {key: each for key, each in edit.changed.items() if isinstance(each, Ended | Changed)}
    return Edit(changed=changed, removed=edit.touched.difference(changed))


def _key(entry: Ended) -> _Key:
    return entry.session, entry.subject, entry.provider


def _are_later(entries: tuple[Ended, ...], authenticated: float) -> bool:
    return any(authenticated < entry.before for entry in entries)


def _drop(index: dict[_IndexKey, tuple[_Entry, ...]], key: _IndexKey, entry: _Entry) -> bool:
    """Take one entry out of an index; whether others remain under its key."""
    others = list(index.pop(key))
    others.remove(entry)
    if others:
        index[key] = tuple(others)
    return bool(others)
