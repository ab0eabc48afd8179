"""Searches of one connection whose answer is given page by page (RFC 2696).

What is left of an answer is kept under a cookie that can't be guessed and that is good for the next page alone, on this
connection, of the same search by someone with the same rights. There may be a few at a time; the one that has waited
longest makes room.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dataplane.protocols.ldap.messages import Search
from dataplane.protocols.ldap.tree import Tree

MAX_OUTSTANDING: Final = 8
_COOKIE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What must be the same from page to page; limits may differ. `subject` is the asker's slot."""

    search: Search
    sort: bytes | None
    subject: int
    sees_all: bool

    @classmethod
    def of(cls, search: Search, sort: bytes | None, subject: int, *, sees_all: bool) -> "Question":
        """The question that a request asks."""
        asked = replace(search, size_limit=0, time_limit=0)
        return cls(search=asked, sort=sort, subject=subject, sees_all=sees_all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left: entries found but not sent, those still to be found, and how many have been sent."""

    question: Question
    tree: Tree
    hits: Iterator[int]
    sent: int


class Pages:
    """The outstanding paged searches of one connection."""

    __slots__ = ("_rests",)

    def __init__(self) -> None:
        self._rests: dict[bytes, Rest] = {}

    def __len__(self) -> int:
        return len(self._rests)

    def keep(self, rest: Rest) -> bytes:
        """Keep what is left; return its cookie."""
        while len(self._rests) >= MAX_OUTSTANDING:
            del self._rests[next(iter(self._rests))]
        cookie = secrets.token_bytes(_COOKIE)
        self._rests[cookie] = rest
        return cookie

    def take(self, cookie: bytes, question: Question, tree: Tree) -> Rest | None:
        """What is left of this search in this tree; None for a cookie that isn't its own. No cookie is good twice."""
        rest = self._rests.pop(cookie, None)
        return rest if rest is not None and rest.question == question and rest.tree is tree else None

    def drop(self, cookie: bytes) -> bool:
        """Give a search up; whether there was one."""
        return self._rests.pop(cookie, None) is not None

    def clear(self) -> None:
        """Give all searches up: someone else has bound, or all was exchanged."""
        self._rests.clear()
