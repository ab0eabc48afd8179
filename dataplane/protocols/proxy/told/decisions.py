"""Who was let in or not, and by what: closed words, alike in the access log and in the decision log.

Words only, no text of a client's. Admins search for them, so they stay as they are.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from dataplane.verifier import Source


class Verdict(StrEnum):
    """What became of who wanted in."""

    ADMITTED = "admitted"
    CHALLENGED = "challenged"
    """Asked to sign in, or for other credentials."""
    DENIED = "denied"
    UNAVAILABLE = "unavailable"
    """Nobody could tell."""
    ENDED = "ended"
    """Had been let in, and is cut off."""


class By(StrEnum):
    """By which rule."""

    SESSION = "session"
    """A session, by its cookie: control has vouched for it before."""
    CONTROL = "control"
    """Control, asked for this request."""
    CACHE = "cache"
    """An answer of control's to the same credentials that was kept."""
    OFFLINE = "offline"
    """The same, while control can't be asked."""
    OPEN = "open"
    """The path is open to everybody (`skip_path_regex`)."""
    SETTINGS = "settings"
    """What is configured here, or in the proxy in front."""


class Reason(StrEnum):
    """Why; empty where the rule says it all."""

    NONE = ""
    NO_SESSION = "no_session"
    SESSION_ENDED = "session_ended"
    ACCESS_DENIED = "access_denied"
    INVALID_CREDENTIALS = "invalid_credentials"
    LOCKED_OUT = "locked_out"
    SECOND_FACTOR = "second_factor"
    BUSY = "busy"
    UNUSABLE_CREDENTIALS = "unusable_credentials"
    CONTROL_AWAY = "control_away"
    NO_APPLICATION = "no_application"
    HOSTS_DIFFER = "hosts_differ"
    MALFORMED = "malformed"
    LOOP = "loop"
    PATH_OUTSIDE = "path_outside"
    SIGNED_OUT = "signed_out"
    EXPIRED = "expired"
    PROVIDER_CHANGED = "provider_changed"
    SIGN_IN_FAILED = "sign_in_failed"
    REDIRECT_LOOP = "redirect_loop"
    RETURN_REFUSED = "return_refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. There are few, and many requests: what is asked of one with each of these is made with it."""

    verdict: Verdict
    by: By
    reason: Reason = Reason.NONE
    admits: bool = field(init=False)
    word: str = field(init=False)
    """What the access log says: by what somebody was let in, else what became of who wasn't."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "admits", self.verdict is Verdict.ADMITTED)
        object.__setattr__(self, "word", self.by.value if self.admits else self.verdict.value)


BY_SESSION = Decision(Verdict.ADMITTED, By.SESSION)
BY_CONTROL = Decision(Verdict.ADMITTED, By.CONTROL)
BY_SOURCE = {source: Decision(Verdict.ADMITTED, By(source)) for source in Source}
"""By where what is known of credentials comes from."""
OPEN = Decision(Verdict.ADMITTED, By.OPEN)
STRANGER = Decision(Verdict.CHALLENGED, By.SESSION, Reason.NO_SESSION)
ENDED_SESSION = Decision(Verdict.CHALLENGED, By.SESSION, Reason.SESSION_ENDED)
NOT_ALLOWED = Decision(Verdict.DENIED, By.SESSION, Reason.ACCESS_DENIED)
CONTROL_AWAY = Decision(Verdict.UNAVAILABLE, By.CONTROL, Reason.CONTROL_AWAY)
TURNED_DOWN = Decision(Verdict.DENIED, By.CONTROL, Reason.ACCESS_DENIED)
SIGN_IN_FAILED = Decision(Verdict.DENIED, By.CONTROL, Reason.SIGN_IN_FAILED)
REDIRECT_LOOP = Decision(Verdict.DENIED, By.SETTINGS, Reason.REDIRECT_LOOP)
RETURN_REFUSED = Decision(Verdict.DENIED, By.SETTINGS, Reason.RETURN_REFUSED)
NO_APPLICATION = Decision(Verdict.DENIED, By.SETTINGS, Reason.NO_APPLICATION)
HOSTS_DIFFER = Decision(Verdict.DENIED, By.SETTINGS, Reason.HOSTS_DIFFER)
MALFORMED = Decision(Verdict.DENIED, By.SETTINGS, Reason.MALFORMED)
LOOP = Decision(Verdict.DENIED, By.SETTINGS, Reason.LOOP)
PATH_OUTSIDE = Decision(Verdict.DENIED, By.SETTINGS, Reason.PATH_OUTSIDE)
