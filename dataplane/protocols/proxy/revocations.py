"""What ends a session before its time, and what overrides its cookie. Immutable, made anew with each config.

A look-up costs a few dict accesses however many entries there are: `Ended` entries are indexed by the combination
of fields they set, and there are at most eight of those.
"""

from collections.abc import Iterable

from dataplane.config import Changed, Ended
from dataplane.gate import ProxySession, SessionReference

_Key = tuple[str, str, str]


class Revocations:
    """All Ended and Changed entries."""

    __slots__ = ("_before", "_changed", "_shapes")

    def __init__(self, ended: Iterable[Ended] = (), changed: Iterable[Changed] = ()) -> None:
        self._before: dict[_Key, float] = {}
        shapes = set()
        for entry in ended:
            key = (entry.session, entry.subject, entry.provider)
            self._before[key] = max(entry.before, self._before.get(key, entry.before))
            shapes.add((bool(entry.session), bool(entry.subject), bool(entry.provider)))
        self._shapes = tuple(sorted(shapes))
        self._changed: dict[str, Changed] = {}
        for change in sorted(changed, key=lambda change: change.at):
            self._changed[change.identity.subject] = change

    def changes_as(self, other: "Revocations") -> bool:
        """Whether the same is true of everybody: then what was judged by the one needs no judging by the other."""
        return self._changed == other._changed

    def is_ended(self, session: ProxySession, provider: str) -> bool:
        """Whether an entry ends this session at this provider."""
        for by_session, by_subject, by_provider in self._shapes:
            key = (
                session.id if by_session else "",
                session.identity.subject if by_subject else "",
                provider if by_provider else "",
            )
            before = self._before.get(key)
            # A sign-in that is named is over, whatever the clock said that wrote `before`: its id never comes again.
            if before is not None and ((by_session and not by_provider) or session.authenticated < before):
                return True
        return False

    def is_signed_out(self, session: SessionReference) -> bool:
        """Whether the whole sign-in behind a session is known to be over, not only here."""
        if (session.session, "", "") in self._before:
            return True
        return session.authenticated < self._before.get(("", session.subject, ""), 0.0)

    def find_change(self, session: ProxySession) -> Changed | None:
        """What has become true of the person since this session was signed in."""
        change = self._changed.get(session.identity.subject)
        return change if change is not None and session.authenticated < change.at else None
