"""Whom and what an admin means by a few letters: the one that is called so, else the only one that fits, else which."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from control.domain.application import Application
from control.domain.identity import User, UserKind
from control.store import Unit

Thing = TypeVar("Thing")
SHOWN = 20
LONGEST = 200
_KINDS = (UserKind.INTERNAL, UserKind.SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[Thing]):
    """What was typed, what it means if that is plain, and otherwise what it could mean (so many of `total`)."""

    text: str
    chosen: Thing | None = None
    candidates: Sequence[Thing] = field(default_factory=tuple)
    total: int = 0


def choose_user(unit: Unit, typed: str) -> Choice[User]:
    """The user of that username, or those whose username, name or e-mail address holds what was typed."""
    text = typed.strip()[:LONGEST]
    exact = unit.users.find_named(text) if text and "\0" not in text else None
    if exact is not None and exact.kind in _KINDS:
        return Choice(text=exact.username, chosen=exact)
    found, total = unit.users.search(text, _KINDS, 0, SHOWN)
    return _narrowed(text, found, total, found[0].username if found else "")


def choose_application(unit: Unit, typed: str) -> Choice[Application]:
    """The application of that slug or name, or those whose slug or name holds what was typed."""
    text = typed.strip()[:LONGEST]
    everything = unit.applications.all()
    exact = next((each for each in everything if text in (each.slug, each.name)), None)
    if exact is not None:
        return Choice(text=exact.slug, chosen=exact)
    found = [each for each in everything if text.lower() in f"{each.slug}\n{each.name}".lower()]
    return _narrowed(text, found[:SHOWN], len(found), found[0].slug if found else "")


def _narrowed(text: str, found: Sequence[Thing], total: int, name: str) -> Choice[Thing]:
    if text and total == 1:
        return Choice(text=name, chosen=found[0])
    return Choice(text=text, candidates=found, total=total)
