"""The users and groups an LDAP outpost holds, and how control's feed changes them: pure values, no protobuf and no I/O.

Entries stay the bytes that control sent, by key. A whole copy is collected beside what is held, which is served
meanwhile, and so are changes: each takes effect as one or not at all. Positions are control's; here they are kept.
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
    """Puts together what comes over one stream: whole copies, and changes of what is held."""

    __slots__ = ("_changed", "_removed", "_size", "_under_way", "_whole")

    def __init__(self) -> None:
        self._begin(whole=False)
        self._under_way = False

    def add(self, part: DirectoryPart, held: Position | None) -> DirectoryChange | None:
        """Take the next part; the change, once it is complete. Raises LinkBroken."""
        if part.begins:
            self._begin(whole=True)
        elif not self._under_way:
            self._begin(whole=False)
        if held is None and not self._whole:
            raise LinkBroken("directory: a change came where a whole copy was due")
        self._collect(part)
        if part.position is None:
            return None
        self._under_way = False
        removed = frozenset(self._removed)
        return DirectoryChange(position=part.position, changed=self._changed, removed=removed, whole=self._whole)

    def _begin(self, *, whole: bool) -> None:
        """What is under way is given up."""
        self._under_way, self._whole = True, whole
        self._changed: dict[str, bytes] = {}
        self._removed: set[str] = set()
        self._size = 0

    def _collect(self, part: DirectoryPart) -> None:
        both = part.entries.keys() & set(part.removed)
        if both:
            raise LinkBroken(f"directory: {min(both)} is both sent and removed")
        for key in (*part.removed, *part.entries):
            self._size -= len(self._changed.pop(key, b""))
        self._removed.difference_update(part.entries)
        if not self._whole:
            self._removed.update(part.removed)
        self._changed.update(part.entries)
        self._size += sum(map(len, part.entries.values()))
        check_limits(len(self._changed) + len(self._removed), self._size)


def check_limits(count: int, size: int) -> None:
    """Raises LinkBroken for more entries, or more bytes in them, than an outpost holds."""
    if count > MAX_ENTRIES:
        raise LinkBroken(f"directory: {count} entries, where at most {MAX_ENTRIES} are held")
    if size > MAX_BYTES:
        raise LinkBroken(f"directory: entries of {size} bytes together, where at most {MAX_BYTES} are held")
