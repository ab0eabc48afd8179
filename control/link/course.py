"""What leads one outpost on in the feed of users and groups: a whole copy, or the changes since where it is.

Read from the database a page at a time, each as of its own moment: entries are idempotent, and what changes while a
copy is made is sent after it, before it counts. Blocking, and without asyncio: `control.link.directory` runs it in
threads.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from control.domain.directory import Cursor, Entry, Position, Shown
from control.fleet import directory
from control.fleet.directory import ShowsOther, find_news, get_shown, read_all, shown_to_each
from control.link import translate
from control.link.metrics import Metrics
from control.store import SYSTEM, Store
from protos.outpost.v1 import link_pb2

# An entry above this reaches no outpost: parts end here, and no LDAP client wants such attributes.
ENTRY_BYTES = 1024 * 1024

log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Changes, serialised, and how far they go; `complete` when there are no more."""

    entries: list[bytes]
    removed: list[str]
    reached: Cursor
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at the log gave: what the outpost was shown then, and the news by that, as `find_news` has them."""

    shown: Shown
    news: News | None


class Source:
    """The feed in the database, read and serialised. Blocking: for threads."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def begin(self) -> None:
        """Begin the feed, where there is none yet."""
        with self._store.write(SYSTEM) as unit:
            unit.directory.begin()

    def position(self, shown: Shown) -> Position:
        """The present end of the feed, for who is shown this."""
        with self._store.read() as unit:
            return unit.directory.position(shown)

    def look(self, outpost: UUID, after: Cursor) -> Seen:
        """What comes after a place for an outpost, a page of it. Raises ShowsNothing."""
        with self._store.read() as unit:
            shown = get_shown(unit, outpost)
            found = find_news(unit, after, shown)
        return Seen(shown=shown, news=self._find_serialised(found))

    def look_for_all(
        self, outposts: Collection[UUID], after: Cursor, shown: Shown
    ) -> tuple[News | None, frozenset[UUID]]:
        """What comes after a place for who is shown this, a page of it, and which of these outposts are."""
        with self._store.read() as unit:
            found = find_news(unit, after, shown)
            is_news = found is not None and (found.entries or found.removed)
            shown_to = shown_to_each(unit, outposts) if is_news else {}
        return self._find_serialised(found), frozenset(key for key, each in shown_to.items() if each == shown)

    def start(self, outpost: UUID) -> tuple[Shown, Position]:
        """What an outpost is shown, and the present end of the feed for it. Raises ShowsNothing."""
        with self._store.read() as unit:
            shown = get_shown(unit, outpost)
            return shown, unit.directory.position(shown)

    def pages(self, outpost: UUID, shown: Shown) -> Iterator[list[bytes]]:
        """All there is, without what is too large. Raises ShowsOther where the outpost is no more shown this."""
        for page in read_all(self._store, outpost, shown):
            entries, _ = self._serialised(page)
            yield entries

    def _find_serialised(self, found: directory.News | None) -> News | None:
        if found is None:
            return None
        entries, too_large = self._serialised(found.entries)
        removed = [*found.removed, *too_large]
        return News(entries=entries, removed=removed, reached=found.reached, complete=found.complete)

    def _serialised(self, entries: Iterable[Entry]) -> tuple[list[bytes], list[str]]:
        """The entries, and the keys of those that are too large and must not be held in an older version either."""
        fitting: list[bytes] = []
        too_large: list[str] = []
        for entry in entries:
            data = translate.directory_entry(entry)
            if len(data) <= ENTRY_BYTES:
                fitting.append(data)
            else:
                too_large.append(entry.key)
                self._metrics.directory_too_large.inc()
                fields = {"entry": entry.key, "bytes": len(data), "most": ENTRY_BYTES}
                log.warning("an entry of the directory is too large for outposts", extra=fields)
        return fitting, too_large


class Course:
    """How far one outpost holds the feed, what it was `shown` there, and what leads it on.

    Blocking: for a thread, one at a time.
    """

    def __init__(self, source: Source, outpost: UUID, held: Position | None) -> None:
        self._source = source
        self._outpost = outpost
        self.reached = Cursor(position=held) if held else None
        self.shown = Shown()

    def lead_on(self) -> Iterator[link_pb2.WatchResponse]:
        """What the outpost lacks at the moment, in messages; with the last of them it holds what control has.

        Raises ShowsNothing.
        """
        news = self._look(self.reached) if self.reached else None
        begun = False
        while news and not news.complete:
            begun = True
            yield from in_parts(news)
            news = self._look(news.reached)
        if news is None:
            yield from self._copy()
        else:
            if begun or news.entries or news.removed:
                yield from in_parts(news)
            self.reached = news.reached

    def _look(self, after: Cursor) -> News | None:
        seen = self._source.look(self._outpost, after)
        self.shown = seen.shown
        return seen.news

    def _copy(self) -> Iterator[link_pb2.WatchResponse]:
        """All there is, then what changed meanwhile; anew where that was trimmed, or others are shown by now."""
        # If this breaks off, nothing but another whole copy may follow.
        self.reached = None
        news: News | None = None
        while news is None:
            # Until the first page is asked for it may be long: what changes before is no matter of this copy.
            yield translate.directory_begins()
            shown, start = self._source.start(self._outpost)
            with suppress(ShowsOther):
                for page in self._source.pages(self._outpost, shown):
                    yield from translate.directory_changes(page, (), None)
                news = self._look(Cursor(position=start))
                while news and not news.complete:
                    yield from in_parts(news)
                    news = self._look(news.reached)
        yield from in_parts(news)
        self.reached = news.reached


def in_parts(news: News) -> Iterator[link_pb2.WatchResponse]:
    """News as messages, of which the last completes them where they are complete."""
    return translate.directory_changes(news.entries, news.removed, news.reached.position if news.complete else None)
