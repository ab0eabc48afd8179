"""The answer to "may this person in?": a closed union that every protocol renders its own way."""

from dataclasses import dataclass
from enum import StrEnum


class DenyReason(StrEnum):
    """Why not; templates hold the words."""

    USER_INACTIVE = "user_inactive"
    NO_BINDING_MATCHES = "no_binding_matches"
    A_BINDING_FAILS = "a_binding_fails"


@dataclass(frozen=True, slots=True)
class Allow:
    """Come in. `open_to_all` when no enabled binding guards the application."""

    open_to_all: bool = False


@dataclass(frozen=True, slots=True)
class Deny:
    """Stay out, and why."""

    reason: DenyReason


Decision = Allow | Deny
