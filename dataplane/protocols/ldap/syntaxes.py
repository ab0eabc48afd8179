"""Syntaxes of values (RFC 4517 section 3): which bytes are a value of it.

A syntax says yes or no and never raises; what values match is for the rules (`schema_rules`).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Syntax:
    """A syntax: its OID, what RFC 4517 calls it, and whether a value is of it."""

    oid: str
    description: str
    holds: Callable[[bytes], bool]
