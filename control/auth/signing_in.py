"""Signing in at our own pages: the decision of control.auth.deciding, and a session for whoever is admitted.

A person with an authenticator app is asked for its code; one who should have an app and has none comes in by the
password alone, and the pages let that person do nothing but enrol.
"""

from dataclasses import dataclass, field

from control.auth import sessions
from control.auth.answering import Enter
from control.auth.deciding import AnswerGiven, Attempt, Decider, Given, PasswordGiven
from control.auth.sessions import OpenedSession, Origin
from control.domain.decision import Admitted, Challenged, Channel, Refused
from control.store import Actor, Unit

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What somebody typed."""

    username: str
    password: str = field(repr=False)


def sign_in(
    decider: Decider, credentials: Credentials, origin: Origin, replaced: str = ""
) -> OpenedSession | Challenged | Refused:
    """Check the credentials and open a session in place of the one the browser brought. Raises DatabaseUnavailable."""
    given = PasswordGiven(username=credentials.username, password=credentials.password)
    return decider.settle(_attempt(given, origin), _opening(origin, replaced))


def finish(
    decider: Decider, state: str, code: str, origin: Origin, replaced: str = ""
) -> OpenedSession | Challenged | Refused:
    """The same with the code that a challenge asked for.

    Where it is refused, `decider.is_pending(state)` tells whether another code may be given.
    """
    given = AnswerGiven(state=state, code=code)
    return decider.settle(_attempt(given, origin), _opening(origin, replaced))


def _attempt(given: Given, origin: Origin) -> Attempt:
    actor = Actor(name=ANONYMOUS, address=origin.address, request_id=origin.request_id)
    return Attempt(channel=Channel.BROWSER, given=given, origin=origin, application=None, dialogue=True, actor=actor)


def _opening(origin: Origin, replaced: str) -> Enter[OpenedSession]:
    def opened(unit: Unit, admitted: Admitted) -> OpenedSession:
        return sessions.open_session(unit, admitted.person.user.id, origin, replaced, admitted.methods)

    return opened
