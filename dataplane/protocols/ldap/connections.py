"""Which connections are bound, by what may end them: the session, the person, the provider.

A revocation looks at those alone that it may concern, however many there are.
"""

from collections.abc import Iterator
from typing import Protocol

from dataplane.config import Changed, Edit, Ended
from dataplane.protocols.ldap.binding import Bound


class Member(Protocol):
    """A connection, as far as it can be ended."""

    def revoke(self, reason: str) -> None:
        """End it: what it was bound by holds no more."""
        ...


class Connections:
    """The connections that are bound."""

    def __init__(self) -> None:
        self._bound: dict[Member, Bound] = {}
        self._about: dict[tuple[str, str], dict[Member, None]] = {}

    def __len__(self) -> int:
        return len(self._bound)

    def enter(self, member: Member, bound: Bound) -> None:
        """It is bound now; it was not before."""
        self._bound[member] = bound
        for about in _subjects_of(bound):
            self._about.setdefault(about, {})[member] = None

    def leave(self, member: Member) -> None:
        """It is bound no more, if it was."""
        bound = self._bound.pop(member, None)
        if bound is None:
            return
        for about in _subjects_of(bound):
            members = self._about[about]
            del members[member]
            if not members:
                del self._about[about]

    def concerned(self, revocations: Edit) -> list[tuple[Member, Bound]]:
        """Those that a change of revocations may end."""
        abouts = {about for entry in revocations.changed.values() for about in _abouts(entry)}
        return self._find(abouts)

    def of_providers(self, providers: frozenset[str]) -> list[tuple[Member, Bound]]:
        """Those bound at these providers."""
        return self._find({("provider", provider) for provider in providers})

    def _find(self, abouts: set[tuple[str, str]]) -> list[tuple[Member, Bound]]:
        members = {member: None for about in abouts for member in self._about.get(about, ())}
        return [(member, self._bound[member]) for member in members]


def _subjects_of(bound: Bound) -> tuple[tuple[str, str], ...]:
    session = bound.session
    return ("session", session.id), ("subject", session.identity.subject), ("provider", bound.provider)


def _abouts(entry: object) -> Iterator[tuple[str, str]]:
    match entry:
        case Ended(session=session) if session:
            yield "session", session
        case Ended(subject=subject) if subject:
            yield "subject", subject
        case Ended(provider=provider):
            yield "provider", provider
        case Changed(identity=identity):
            yield "subject", identity.subject
