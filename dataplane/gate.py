"""The port through which every protocol asks control: one question, one closed set of answers.

Protocol handlers depend on these types only; `dataplane.link.calls` implements `Gate` over gRPC and tests answer
by a table. An implementation never raises: what the network did is `Unavailable`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a person is towards applications. `groups` holds names, nested ones included, sorted.

    `backend_override` is another address of the application for this person, `host_header` another Host, where mode
    proxy sends them on; both are mostly empty.
    """

    subject: str
    username: str
    name: str
    email: str
    groups: tuple[str, ...]
    entitlements: tuple[str, ...]
    additional_headers: tuple[tuple[str, str], ...]
    superuser: bool = False
    backend_override: str = ""
    host_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """What an application is sent as HTTP Basic (RFC 7617)."""

    username: str
    password: str = field(repr=False)


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
    basic: BasicCredentials | None = None


class Refusal(StrEnum):
    """Why control said no."""

    INVALID_CODE = "invalid_code"
    SESSION_ENDED = "session_ended"
    ACCESS_DENIED = "access_denied"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Control could not be asked; `reason` is for the log. `refused`: it was there, and would not hear of it."""

    reason: str
    refused: bool = False


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


class Channel(StrEnum):
    """The protocol that credentials came by."""

    HTTP = "http"
    LDAP = "ldap"
    RADIUS = "radius"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredentials:
    """A name and a password; a code of a second factor may stand behind the password's last `;`."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token by itself: an app password, or an ID token for the provider."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeAnswer:
    """The code that a Challenge asked for, with its state."""

    state: str = field(repr=False)
    code: str = field(repr=False)


Credentials = PasswordCredentials | BearerToken | ChallengeAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """May this person in? `dialogue`: whether the protocol can put a Challenge to the person."""

    provider: str
    channel: Channel
    credentials: Credentials
    client_address: str
    request_id: str = ""
    dialogue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Come in. `session` is as if signed in; its id is what ends it early.

    `attributes` is a JSON object of the person's merged attributes. `cache` (seconds) is how long the answer may be
    kept while control can be asked; 0 for not at all.
    """

    session: ProxySession
    attributes: str = field(repr=False)
    cache: float


class DenyReason(StrEnum):
    """Why not."""

    INVALID_CREDENTIALS = "invalid_credentials"
    LOCKED_OUT = "locked_out"
    ACCESS_DENIED = "access_denied"
    SECOND_FACTOR = "second_factor"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Stay out; `retry_after` (seconds) where time heals it, else 0."""

    reason: DenyReason
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A code is asked for; `state` goes back with it within `expires_in` seconds."""

    state: str = field(repr=False)
    expires_in: float


Answer = Allowed | Denied | Challenge | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """Somebody wants another password. `present` is the one to sign in with; `wanted` None for one of control's."""

    provider: str
    channel: Channel
    username: str
    present: str = field(repr=False)
    wanted: str | None = field(repr=False)
    client_address: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PasswordChanged:
    """It is changed; `generated` is the new one where control thought of it, else empty."""

    generated: str = field(default="", repr=False)


class PasswordRefusal(StrEnum):
    """Why it is not changed."""

    INVALID_CREDENTIALS = "invalid_credentials"
    LOCKED_OUT = "locked_out"
    BUSY = "busy"
    UNSUITABLE = "unsuitable"
    ACCESS_DENIED = "access_denied"


PasswordAnswer = PasswordChanged | PasswordRefusal | Unavailable


class EventAction(StrEnum):
    """What an outpost did without asking control, or control should know of."""

    ADMITTED = "admitted"
    TURNED_AWAY = "turned_away"
    SIGNED_OUT = "signed_out"
    ADMITTED_OFFLINE = "admitted_offline"
    MISCONFIGURED = "misconfigured"
    EVENTS_LOST = "events_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the audit trail by an outpost: of `count` like events until `at` (POSIX seconds)."""

    id: str
    at: float
    action: EventAction
    provider: str = ""
    subject: str = ""
    username: str = ""
    client_address: str = ""
    reason: str = ""
    count: int = 1
    request_id: str = ""


class Gate(Protocol):
    """Control, as a protocol handler sees it. Calls block the calling greenlet, for at most five seconds."""

    def redeem_code(self, redemption: Redemption) -> SessionAnswer:
        """Trade an authorization code, good once, for a session."""
        ...

    def look_up_session(self, reference: SessionReference) -> SessionAnswer:
        """Fetch the session again for a cookie that could not hold it."""
        ...

    def authenticate(self, attempt: Attempt) -> Answer:
        """Whether somebody who brings credentials may come in."""
        ...

    def change_password(self, change: PasswordChange) -> PasswordAnswer:
        """Change a person's password, who proves to know the present one."""
        ...

    def find_outage(self) -> Unavailable | None:
        """Why control can't be asked just now, as far as can be told without asking it anything."""
        ...

    def end_session(self, provider: str, session: str) -> None:
        """End the sign-in and all that was born of it; queued while control is away."""
        ...
