"""What judging a request comes to: an Opened session, or one of these. Values only."""

from enum import Enum
from typing import NamedTuple

from dataplane.gate import Identity
from dataplane.protocols.proxy.application import Opened
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.told.decisions import Decision
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


Judgement = Opened | Entered | Open | Turned
