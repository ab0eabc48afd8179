"""The port through which every protocol asks control: one question, one closed set of answers.

Protocol handlers depend on these types only; `dataplane.link.calls` implements `Gate` over gRPC and tests answer
by a table. An implementation never raises: what the network did is `Unavailable`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a person is towards applications. `groups` holds names, nested ones included, sorted."""

    subject: str
    username: str
    name: str
    email: str
    groups: tuple[str, ...]
    entitlements: tuple[str, ...]
    additional_headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySession:
    """A sign-in towards one provider. `id` is the `sid` of the control session; times are POSIX seconds.

    `proof` is what shows control that it made this session; empty where it did so before there were proofs.
    """

    id: str
    identity: Identity
    authenticated: float
    expires: float
    id_token: str = field(repr=False)
    proof: str = field(default="", repr=False)


class Refusal(StrEnum):
    """Why control said no."""

    INVALID_CODE = "invalid_code"
    SESSION_ENDED = "session_ended"
    ACCESS_DENIED = "access_denied"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Control could not be asked; `reason` is for the log."""

    reason: str


SessionAnswer = ProxySession | Refusal | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """An authorization code with all it is bound to."""

    provider: str
    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReference:
    """A session known by its bounds alone, with control's proof, as a cookie too small for its identity holds it."""

    provider: str
    session: str
    subject: str
    authenticated: float
    expires: float
    proof: str = field(default="", repr=False)


class Gate(Protocol):
    """Control, as a protocol handler sees it. Calls block the calling greenlet, for at most five seconds."""

    def redeem_code(self, redemption: Redemption) -> SessionAnswer:
        """Trade an authorization code, good once, for a session."""
        ...

    def look_up_session(self, reference: SessionReference) -> SessionAnswer:
        """Fetch the session again for a cookie that could not hold it."""
        ...

    def find_outage(self) -> Unavailable | None:
        """Why control can't be asked just now, as far as can be told without asking it anything."""
        ...

    def end_session(self, provider: str, session: str) -> None:
        """End the sign-in and all that was born of it; queued while control is away."""
        ...
