"""What people type or programs send as a second factor or an app password: pure, from text to one of few shapes.

People copy these from a phone or a sheet of paper, so spaces, hyphens and capitals don't matter. What has none of the
shapes is no code, and nothing is looked up for it.
"""

import re
import secrets
from base64 import b32encode
from dataclasses import dataclass, field

# Beyond anything that is a code with spaces in it.
_LONGEST = 100
_LEFT_OUT = re.compile(r"[ \t\u00a0-]")
_ONE_TIME = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(r"[a-z2-7]{12}")
_APP_PASSWORD = re.compile(r"[a-z2-7]{24}")
_RANDOM_BYTES = 15


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """Six digits of an authenticator app."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecoveryText:
    """A recovery code: 60 bits in base32, without the hyphens it is shown with."""

    text: str = field(repr=False)


Code = OneTimeCode | RecoveryText


def read_code(text: str) -> Code | None:
    """The code that was meant, or None where it has the shape of neither kind."""
    plain = _plain(text)
    if _ONE_TIME.fullmatch(plain):
        return OneTimeCode(plain)
    return RecoveryText(plain) if _RECOVERY.fullmatch(plain) else None


def read_app_password(text: str) -> str | None:
    """The 24 letters of an app password, or None where it can't be one."""
    plain = _plain(text)
    return plain if _APP_PASSWORD.fullmatch(plain) else None


def new_recovery_code() -> str:
    """A recovery code as it is shown: three groups of four letters."""
    return grouped(_random_text()[:12], "-")


def new_app_password() -> str:
    """An app password: 24 letters, 120 random bits. No `;`, so it is never read as a password and a code."""
    return _random_text()


def grouped(text: str, between: str = " ") -> str:
    """The letters in groups of four, for eyes."""
    return between.join(text[start : start + 4] for start in range(0, len(text), 4))


def _random_text() -> str:
    return b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode().lower()


def _plain(text: str) -> str:
    return _LEFT_OUT.sub("", text).lower() if len(text) <= _LONGEST else ""
