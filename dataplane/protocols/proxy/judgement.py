"""What judging a request comes to: an Opened session, or one of these. Values only."""

from enum import Enum
from typing import NamedTuple, assert_never

from dataplane.gate import Identity
from dataplane.protocols.proxy.application import Opened
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.told.decisions import BY_SESSION, BY_SOURCE, OPEN, Decision
from dataplane.verifier import Source


class Open(Enum):
    """The path needs no sign-in."""

    OPEN = "open"


class Entered(NamedTuple):
    """Let in by credentials, and where what is known of those comes from."""

    opened: Opened
    source: Source


class Turned(NamedTuple):
    """Not let in: the answer to give, and why; None where nothing was decided, for it was a step of signing in."""

    response: Response
    decision: Decision | None
    person: Identity | None = None
    """Who it was, where that is known."""
    asking: Asking | None = None
    """What was decided about; with each decision."""


Admitted = Opened | Entered | Open
Judgement = Admitted | Turned


def admission_of(admitted: Admitted) -> tuple[Identity | None, Decision]:
    """Who is let in, and by what."""
    match admitted:
        case Opened(session=session):
            return session.identity, BY_SESSION
        case Entered(opened=opened, source=source):
            return opened.session.identity, BY_SOURCE[source]
        case Open.OPEN:
            return None, OPEN
        case _:
            assert_never(admitted)
