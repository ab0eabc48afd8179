"""What a worker did without asking control, counted: like happenings are one event with a count, told once a while.

Pure, and cheap where it matters: who serves the same again and again keeps the entry and adds to its count. Strangers
can make as many happenings as they like, so there are so many different ones at most until the next telling; the others
are lumped together. What strangers say of themselves is cut and made printable here.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from dataplane.gate import Event, EventAction

MAX_ENTRIES = 4096
"""Different happenings between two tellings."""
MAX_OF_PERSON = 256
"""The same of one person: who has many addresses, or may claim them, hides neither others nor who it was."""
MAX_OF_STRANGERS = 64
"""The same of those of whom nobody knows who they are: they have as many names and addresses as they like."""
MAX_MISCONFIGURED = 32
"""The same of what is configured wrongly, in an hour: strangers' mistakes look like it."""
QUIET = 3600.0
"""Seconds until the same thing that is configured wrongly is told of again."""
MAX_TEXT = 300
LUMPED = "too many to tell apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What like events have in common; `username` as it was typed where nobody was found."""

    action: EventAction
    provider: str = ""
    subject: str = ""
    username: str = ""
    client_address: str = ""
    reason: str = ""


class Entry:
    """How often something has happened. `at` is when it did last, where that is known."""

    __slots__ = ("at", "count", "happening", "request_id")

    def __init__(self, happening: Happening) -> None:
        self.happening = happening
        self.count = 0
        self.at: float | None = None
        self.request_id = ""


class Ledger:
    """The counts of one worker."""

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._entries: dict[Happening, Entry] = {}
        self._shares: Counter[str] = Counter()
        """How many of these each person has."""
        self._of_strangers: dict[Happening, Entry] = {}
        self._misconfigured: dict[Happening, Entry] = {}
        self._told: dict[Happening, float] = {}
        """By what was told: when."""

    @property
    def untold(self) -> int:
        """How much has happened that nobody was told of yet."""
        kept = (self._entries, self._of_strangers, self._misconfigured)
        return sum(entry.count for entries in kept for entry in entries.values())

    def entry(self, happening: Happening) -> Entry:
        """What to add to, now or until the next telling."""
        happening = _bounded(happening)
        if happening.action is EventAction.MISCONFIGURED:
            full = happening not in self._told and len(self._told.keys() | self._misconfigured) >= MAX_MISCONFIGURED
            return _entry(self._misconfigured, happening, full=full)
        if happening.subject:
            return self._of_person(happening)
        return _entry(self._of_strangers, happening, full=len(self._of_strangers) >= MAX_OF_STRANGERS)

    def _of_person(self, happening: Happening) -> Entry:
        """Beyond a person's share it is still said who it was."""
        kept, before = self._entries, len(self._entries)
        if happening not in kept and self._shares[happening.subject] >= MAX_OF_PERSON:
            happening = replace(happening, client_address="", reason=LUMPED)
        entry = _entry(kept, happening, full=before >= MAX_ENTRIES)
        self._shares[entry.happening.subject] += len(kept) - before
        return entry

    def record(self, happening: Happening, request_id: str = "") -> None:
        """It has happened once more."""
        entry = self.entry(happening)
        entry.count += 1
        entry.at = self._clock()
        entry.request_id = request_id

    def take(self) -> tuple[Event, ...]:
        """All that is to be told now."""
        now = self._clock()
        told = (*self._entries.values(), *self._of_strangers.values(), *self._due(now))
        # New ones: whoever keeps an entry may not add to what comes next.
        self._entries, self._of_strangers = {}, {}
        self._shares.clear()
        return tuple(self._event(entry, now) for entry in told if entry.count)

    def take_all(self) -> tuple[Event, ...]:
        """The same at the end, when nothing can wait any more."""
        self._told.clear()
        return self.take()

    def _due(self, now: float) -> list[Entry]:
        """What is configured wrongly and was not told of for a while; the rest is counted on."""
        for happening in [each for each, at in self._told.items() if at + QUIET <= now]:
            del self._told[happening]
        due = [each for each in self._misconfigured if each not in self._told]
        self._told.update((each, now) for each in due)
        return [self._misconfigured.pop(each) for each in due]

    def _event(self, entry: Entry, now: float) -> Event:
        what = entry.happening
        return Event(
            id=str(uuid.UUID(bytes=self._random(16), version=4)),
            at=now if entry.at is None else entry.at,
            action=what.action,
            provider=what.provider,
            subject=printable(what.subject),
            username=printable(what.username),
            client_address=printable(what.client_address),
            reason=printable(what.reason),
            count=entry.count,
            request_id=entry.request_id if entry.count == 1 else "",
        )


def _entry(entries: dict[Happening, Entry], happening: Happening, *, full: bool) -> Entry:
    found = entries.get(happening)
    if found is None and full:
        # By what is configured and by our own words only.
        happening = Happening(action=happening.action, provider=happening.provider, reason=LUMPED)
        found = entries.get(happening)
    if found is None:
        found = entries[happening] = Entry(happening)
    return found


def _bounded(happening: Happening) -> Happening:
    """What is kept is short: the longest name that strangers can send is thousands of times as long."""
    texts = happening.username, happening.client_address, happening.reason, happening.subject
    if max(map(len, texts)) <= MAX_TEXT:
        return happening
    username, client, reason, subject = (each[: MAX_TEXT - 1] + "…" if len(each) > MAX_TEXT else each for each in texts)
    return replace(happening, username=username, client_address=client, reason=reason, subject=subject)


def printable(text: str) -> str:
    """On one line, without what terminals and databases choke on."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
