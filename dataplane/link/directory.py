"""The users and groups an LDAP outpost holds, and how control's feed changes them: pure values, no protobuf and no I/O.

Entries stay the bytes that control sent, by key. A whole copy is collected beside what is held, which is served
meanwhile, and takes its place at once; changes are made as they come. Positions are control's: here they are only kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dataplane.link.held import LinkBroken
from dataplane.link.messages import DirectoryPart, Position

# Ten times the largest directory that control is made for; more is somebody's mistake.
MAX_ENTRIES = 1_000_000
MAX_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryChange:
    """What leads to a position: entries that are new or different and keys that are gone, or all there is (`whole`)."""

    position: Position
    changed: Mapping[str, bytes] = field(repr=False)
    removed: frozenset[str] = frozenset()
    whole: bool = False


class Directory:
    """Entries by key, with their number and bytes bounded. Changed in place: there may be a hundred thousand."""

    __slots__ = ("entries", "position", "size")

    def __init__(self, position: Position | None = None, entries: dict[str, bytes] | None = None) -> None:
        self.position = position
        self.entries = {} if entries is None else entries
        self.size = sum(map(len, self.entries.values()))

    def apply(self, change: DirectoryChange) -> DirectoryChange:
        """Make a change; what of it was one. Raises LinkBroken, and makes nothing of it, where that is too much."""
        news = self._difference(change)
        gone = [len(self.entries[key]) for key in (*news.changed, *news.removed) if key in self.entries]
        size = self.size + sum(map(len, news.changed.values())) - sum(gone)
        check_limits(len(self.entries) + len(news.changed) - len(gone), size)
        for key in news.removed:
            del self.entries[key]
        self.entries.update(news.changed)
        self.size = size
        self.position = change.position
        return news

    def _difference(self, change: DirectoryChange) -> DirectoryChange:
        gone = self.entries.keys() - change.changed.keys() if change.whole else change.removed & self.entries.keys()
        changed = {key: data for key, data in change.changed.items() if self.entries.get(key) != data}
        return DirectoryChange(position=change.position, changed=changed, removed=frozenset(gone))


class DirectoryAssembly:
    """Puts together what comes over one stream. What is held must be a beginning of it, or it begins anew."""

    __slots__ = ("_collected", "_size")

    def __init__(self) -> None:
        self._collected: dict[str, bytes] | None = None
        self._size = 0

    def add(self, part: DirectoryPart, held: Position | None) -> DirectoryChange | None:
        """Take the next part; the change that is to be made now, if it is one. Raises LinkBroken."""
        both = part.entries.keys() & set(part.removed)
        if both:
            raise LinkBroken(f"directory: {min(both)} is both sent and removed")
        if part.begins:
            self._collected, self._size = {}, 0
        if self._collected is not None:
            return self._collect(self._collected, part)
        if part.complete:
            raise LinkBroken("directory: a whole copy is complete that has not begun")
        if held is None:
            raise LinkBroken("directory: a change came where a whole copy was due")
        return DirectoryChange(position=part.position, changed=part.entries, removed=frozenset(part.removed))

    def _collect(self, collected: dict[str, bytes], part: DirectoryPart) -> DirectoryChange | None:
        for key in (*part.removed, *part.entries):
            self._size -= len(collected.pop(key, b""))
        collected.update(part.entries)
        self._size += sum(map(len, part.entries.values()))
        check_limits(len(collected), self._size)
        if not part.complete:
            return None
        self._collected = None
        return DirectoryChange(position=part.position, changed=collected, whole=True)


def check_limits(count: int, size: int) -> None:
    """Raises LinkBroken for more entries, or more bytes in them, than an outpost holds."""
    if count > MAX_ENTRIES:
        raise LinkBroken(f"directory: {count} entries, where at most {MAX_ENTRIES} are held")
    if size > MAX_BYTES:
        raise LinkBroken(f"directory: entries of {size} bytes together, where at most {MAX_BYTES} are held")
