"""Searches of one connection whose answer is given page by page (RFC 2696).

What is left of an answer is kept under a cookie that can't be guessed and that is good for the next page alone, on this
connection, of the same search by someone with the same rights. There may be a few at a time, and a number of all
connections together; the one that has waited longest makes room. None outlives the tree that it searches.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dataplane.protocols.ldap.messages import Control, Search
from dataplane.protocols.ldap.tree import Tree

MAX_OUTSTANDING: Final = 8
MAX_TOGETHER: Final = 128
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
    """What is left: entries found but not sent, those still to be found, and how many have been sent.

    `answered` are the other controls of each page's answer.
    """

    question: Question
    tree: Tree
    hits: Iterator[int]
    sent: int
    answered: tuple[Control, ...] = ()


class Shelf:
    """Which paged searches of all connections are outstanding. `limits` counts those that had to make room."""

    __slots__ = ("_limits", "_owners")

    def __init__(self, limits: Counter[str]) -> None:
        self._limits = limits
        self._owners: dict[bytes, Pages] = {}

    def enter(self, cookie: bytes, owner: "Pages") -> None:
        """Say that there is one more."""
        while len(self._owners) >= MAX_TOGETHER:
            self._limits["pages"] += 1
            oldest = next(iter(self._owners))
            self._owners[oldest].drop(oldest)
        self._owners[cookie] = owner

    def leave(self, cookie: bytes) -> None:
        """Say that it isn't any more."""
        self._owners.pop(cookie, None)

    def drop_stale(self) -> None:
        """Give up those of trees whose place another has taken: they would keep a whole directory."""
        for cookie, owner in list(self._owners.items()):
            if owner.is_stale(cookie):
                owner.drop(cookie)


class Pages:
    """The outstanding paged searches of one connection."""

    __slots__ = ("_rests", "_shelf")

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._rests: dict[bytes, Rest] = {}
        self._shelf = Shelf(Counter()) if shelf is None else shelf

    def __len__(self) -> int:
        return len(self._rests)

    def keep(self, rest: Rest) -> bytes:
        """Keep what is left; return its cookie."""
        while len(self._rests) >= MAX_OUTSTANDING:
            self.drop(next(iter(self._rests)))
        cookie = secrets.token_bytes(_COOKIE)
        self._rests[cookie] = rest
        self._shelf.enter(cookie, self)
        return cookie

    def take(self, cookie: bytes, question: Question, tree: Tree) -> Rest | None:
        """What is left of this search in this tree; None for a cookie that isn't its own. No cookie is good twice."""
        rest = self._pop(cookie)
        return rest if rest is not None and rest.question == question and rest.tree is tree else None

    def drop(self, cookie: bytes) -> bool:
        """Give a search up; whether there was one."""
        return self._pop(cookie) is not None

    def is_stale(self, cookie: bytes) -> bool:
        """Whether a search goes through a tree that is shown no more."""
        tree = self._rests[cookie].tree
        return tree.place.tree is not tree

    def clear(self) -> None:
        """Give all searches up: someone else has bound, or all was exchanged."""
        for cookie in list(self._rests):
            self.drop(cookie)

    def _pop(self, cookie: bytes) -> Rest | None:
        self._shelf.leave(cookie)
        return self._rests.pop(cookie, None)
