"""Search and compare (RFC 4511 section 4.5, 4.10): from a request to encoded responses.

Nobody is told more than they may see: an entry that is hidden is answered for like one that isn't there, and filters,
sorting, sizes and compare see only the values that would be sent. Answers come in batches, between which others run:
whoever sends them may stop at any. The directory may change meanwhile; what is gone by then isn't sent.
"""

import math
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from dataplane.protocols.ldap import places
from dataplane.protocols.ldap.candidates import Held
from dataplane.protocols.ldap.controls import SearchControls, search_controls
from dataplane.protocols.ldap.described import find_described, find_described_named
from dataplane.protocols.ldap.filters import Equal, Undefined
from dataplane.protocols.ldap.filters_match import Candidate, matches
from dataplane.protocols.ldap.filters_resolve import resolve_assertion
from dataplane.protocols.ldap.hits import find_hits
from dataplane.protocols.ldap.messages import (
    SUCCESS,
    Compare,
    Control,
    Message,
    Paged,
    Result,
    ResultCode,
    Search,
    SearchDone,
)
from dataplane.protocols.ldap.pace import NOT_YET, Pace
from dataplane.protocols.ldap.paging import Pages, Question, Rest
from dataplane.protocols.ldap.planning import has_value
from dataplane.protocols.ldap.plans import TooMuch
from dataplane.protocols.ldap.rendering import encode, prepare
from dataplane.protocols.ldap.rootdse import PAGED_RESULTS
from dataplane.protocols.ldap.schema import Schema
from dataplane.protocols.ldap.selection import Selection
from dataplane.protocols.ldap.sorting import MAX_SORTED, Order, Place, Unsortable, in_order, orders_of, place_of
from dataplane.protocols.ldap.tree import VIRTUAL, Tree, Viewer
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.values import encode_paged, encode_sort_result
from dataplane.protocols.ldap.views import Anonymous, View, find_view
from dataplane.protocols.ldap.wire import encode_response, entry_message

SORT_RESULT: Final = "1.2.840.113556.1.4.474"
_BATCH: Final = 64 * 1024
_SENT: Final = 8
"""The cost of an entry that is sent."""

_SORTED: Final = 8
"""The cost of finding what an entry is sorted by."""
_MANY: Final = sys.maxsize

Clock = Callable[[], float]

_NOT_ALLOWED: Final = Result(
    code=ResultCode.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="only those who have bound may ask for this"
)
_NOT_LOADED: Final = Result(code=ResultCode.UNAVAILABLE, diagnostic="the directory has not been loaded yet")
_NO_SUCH_PAGE: Final = Result(
    code=ResultCode.UNWILLING_TO_PERFORM, diagnostic="the cookie is not of this search on this connection"
)


_TRUE: Final = Result(code=ResultCode.COMPARE_TRUE)
_FALSE: Final = Result(code=ResultCode.COMPARE_FALSE)
_TOO_MUCH: Final = Result(code=ResultCode.ADMIN_LIMIT_EXCEEDED, diagnostic="the filter has too many parts")
_TOO_MANY: Final = Unsortable(ResultCode.ADMIN_LIMIT_EXCEEDED, "")
_NOT_SORTED: Final = Result(
    code=ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, diagnostic=f"more than {MAX_SORTED:,} entries are not sorted"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A search that can be answered: who sees what of it, in which form, until when."""

    message_id: int
    search: Search
    view: View
    selection: Selection
    clock: Clock
    deadline: float
    pace: Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page that is asked for, the controls that its answer has besides, and how many entries there may be in all."""

    paged: Paged
    sort_value: bytes | None
    answered: tuple[Control, ...]
    estimate: int

    def controls(self, cookie: bytes = b"") -> tuple[Control, ...]:
        """The controls of the answer."""
        value = encode_paged(Paged(size=self.estimate, cookie=cookie))
        return (*self.answered, Control(oid=PAGED_RESULTS, value=value))


@dataclass(frozen=True, slots=True)
class _Unsorted:
    """Hits that are more than are sorted (RFC 2891 section 2)."""

    hits: Iterator[int]


@dataclass(slots=True)
class _Sent:
    """What was sent: how many entries, what wasn't handed out yet, and which hit would have been one too many."""

    code: ResultCode = ResultCode.SUCCESS
    count: int = 0
    waiting: bytes = b""
    beyond: int | None = None


def answer(  # noqa: PLR0911  one for each way to end before it has begun
    trees: Trees, message: Message, viewer: Viewer | Anonymous, pages: Pages, clock: Clock
) -> Generator[bytes, None, ResultCode]:
    """Answer a search: encoded responses in batches, the last with SearchResultDone. Returns how it ended.

    A batch may be empty: a place to let others run. `clock` tells seconds.
    """
    search = message.request
    if not isinstance(search, Search):
        raise TypeError(f"a search was expected, not {type(search).__name__}")
    controls = search_controls(message.controls)
    if isinstance(controls, Result):
        return (yield from _ended(message.id, controls))
    key = places.key_of(search.base)
    if isinstance(key, Result):
        return (yield from _ended(message.id, key))
    described = find_described(trees, key, search, _tree(trees, viewer))
    if described is not None:
        return (yield from _ended(message.id, SUCCESS, waiting=described.answer(message.id, search)))
    view = _view(trees, viewer)
    if isinstance(view, Result):
        return (yield from _ended(message.id, view))
    region = places.find_region(view, key, search.base, search.scope)
    if isinstance(region, Result):
        return (yield from _ended(message.id, region))
    task = _task(message.id, search, view, clock)
    hits = find_hits(view, region, search.filter, task.pace)
    try:
        if message.controls:
            return (yield from _controlled(task, controls, hits, pages))
        sent = yield from _send(task, hits, _size_limit(task))
        return (yield from _ended(message.id, Result(code=sent.code), waiting=sent.waiting))
    except TooMuch:
        return (yield from _ended(message.id, _TOO_MUCH))


def compare(trees: Trees, request: Compare, viewer: Viewer | Anonymous) -> Result:
    """Answer a compare."""
    key = places.key_of(request.entry)
    if isinstance(key, Result):
        return key
    described = find_described_named(trees, key, _tree(trees, viewer))
    if described is not None:
        return _compared(described.entry, request, described.schema)
    view = _view(trees, viewer)
    if isinstance(view, Result):
        return view
    code = places.find_seen(view, key, request.entry)
    if code is None:
        return places.missing(view, key)
    if view.among is None and code < VIRTUAL:
        return _compared_by_indexes(view.tree, code, request)
    return _compared(Held(view.tree, code, view.among), request, view.tree.directory.schema)


def _compared(entry: Candidate, request: Compare, schema: Schema) -> Result:
    node = resolve_assertion(request.attribute, request.value, schema)
    if isinstance(node, Undefined):
        return Result(code=node.code)
    if not isinstance(node, Equal) or not entry.values(node.type):
        return Result(code=ResultCode.NO_SUCH_ATTRIBUTE)
    return _TRUE if matches(entry, node) else _FALSE


def _compared_by_indexes(tree: Tree, code: int, request: Compare) -> Result:
    node = resolve_assertion(request.attribute, request.value, tree.directory.schema)
    if isinstance(node, Undefined):
        return Result(code=node.code)
    found = has_value(tree, code, node) if isinstance(node, Equal) else None
    if found is None:
        return Result(code=ResultCode.NO_SUCH_ATTRIBUTE)
    return _TRUE if found else _FALSE


def _tree(trees: Trees, viewer: Viewer | Anonymous) -> Tree | None:
    """The tree of the provider by which whoever asks has bound."""
    return None if isinstance(viewer, Anonymous) else trees.get(viewer.place.tree.provider.id)


def _view(trees: Trees, viewer: Viewer | Anonymous) -> View | Result:
    """What may be seen by whoever asks."""
    tree = _tree(trees, viewer)
    if tree is None or isinstance(viewer, Anonymous):
        return _NOT_ALLOWED
    if not tree.whole:
        return _NOT_LOADED
    return find_view(viewer, tree) or _NOT_ALLOWED


def _task(message_id: int, search: Search, view: View, clock: Clock) -> _Task:
    tree = view.tree
    seconds = min(search.time_limit or math.inf, tree.provider.time_limit or math.inf)
    return _Task(
        message_id=message_id,
        search=search,
        view=view,
        selection=tree.selections.get(search.attributes, search.types_only),
        clock=clock,
        deadline=math.inf if seconds == math.inf else clock() + seconds,
        pace=Pace(clock),
    )


def _size_limit(task: _Task) -> int:
    return min(task.search.size_limit or _MANY, task.view.tree.provider.size_limit or _MANY)


def _send(task: _Task, hits: Iterator[int], limit: int) -> Generator[bytes, None, _Sent]:
    """Hand out the entries found, in batches; the last batch is left for the end of the answer to go with."""
    tree, among, selection, message_id = task.view.tree, task.view.among, task.selection, task.message_id
    sent = _Sent()
    batch: list[bytes] = []
    size = 0
    for code in hits:
        if code == NOT_YET or size > _BATCH or task.pace.is_due(_SENT):
            yield b"".join(batch)
            batch, size = [], 0
            if task.clock() > task.deadline:
                sent.code = ResultCode.TIME_LIMIT_EXCEEDED
                return sent
        if code == NOT_YET or not tree.exists(code):
            continue
        if sent.count == limit:
            sent.code, sent.beyond = ResultCode.SIZE_LIMIT_EXCEEDED, code
            break
        if among is None and tree.is_large(code):
            for _ in prepare(tree, code, selection, task.pace):
                yield b"".join(batch)
                batch, size = [], 0
            if not tree.exists(code):
                continue
        entry = entry_message(message_id, encode(tree, code, selection, among))
        batch.append(entry)
        size += len(entry)
        sent.count += 1
    sent.waiting = b"".join(batch)
    return sent


def _ended(
    message_id: int, result: Result, controls: tuple[Control, ...] = (), *, waiting: bytes = b""
) -> Generator[bytes, None, ResultCode]:
    yield waiting + encode_response(message_id, SearchDone(result), controls)
    return result.code


# With controls.


def _controlled(
    task: _Task, controls: SearchControls, hits: Iterator[int], pages: Pages
) -> Generator[bytes, None, ResultCode]:
    """An answer that is sorted, in pages, or both."""
    answered: tuple[Control, ...] = ()
    estimate = 0
    if controls.sort:
        orders = orders_of(controls.sort, task.view.tree.directory.schema)
        answered = (_sorted_control(orders),)
        if isinstance(orders, Unsortable):
            if controls.sort_critical:
                result = Result(code=ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, diagnostic="that can't be sorted by")
                return (yield from _ended(task.message_id, result, answered))
        elif controls.paged is None or not controls.paged.cookie:
            found = yield from _collected(task, hits, orders)
            if isinstance(found, Result):
                return (yield from _ended(task.message_id, found))
            if isinstance(found, _Unsorted):
                answered, hits = (_sorted_control(_TOO_MANY),), found.hits
                if controls.sort_critical:
                    return (yield from _ended(task.message_id, _NOT_SORTED, answered))
            else:
                estimate = len(found)
                hits = iter(in_order(found, orders))
    paged = controls.paged
    if paged is None or (not paged.cookie and 0 < task.search.size_limit <= paged.size):
        # A page as large as the answer may be is no page (RFC 2696 section 3).
        sent = yield from _send(task, hits, _size_limit(task))
        return (yield from _ended(task.message_id, Result(code=sent.code), answered, waiting=sent.waiting))
    page = _Page(paged=paged, sort_value=controls.sort_value, answered=answered, estimate=estimate)
    return (yield from _paged(task, page, hits, pages))


def _collected(
    task: _Task, hits: Iterator[int], orders: tuple[Order, ...]
) -> Generator[bytes, None, "list[Place] | _Unsorted | Result"]:
    """All hits and what they are sorted by; all hits as they come where these are too many; or why not."""
    found: list[Place] = []
    for code in hits:
        if code == NOT_YET or task.pace.is_due(_SORTED * len(orders)):
            yield b""
            if task.clock() > task.deadline:
                return Result(code=ResultCode.TIME_LIMIT_EXCEEDED)
        if code != NOT_YET:
            if len(found) == MAX_SORTED:
                return _Unsorted(chain([each for each, _ in found], (code,), hits))
            found.append(place_of(task.view, code, orders))
    return found


def _paged(task: _Task, page: _Page, hits: Iterator[int], pages: Pages) -> Generator[bytes, None, ResultCode]:
    """A page, and a cookie for the next one where there is one."""
    view, paged = task.view, page.paged
    if not paged.size:
        given_up = not paged.cookie or pages.drop(paged.cookie)
        return (yield from _ended(task.message_id, SUCCESS if given_up else _NO_SUCH_PAGE, page.controls()))
    question = Question.of(task.search, page.sort_value, view.self_, sees_all=view.among is None)
    before = 0
    if paged.cookie:
        rest = pages.take(paged.cookie, question, view.tree)
        if rest is None:
            return (yield from _ended(task.message_id, _NO_SUCH_PAGE, page.controls()))
        hits, before = rest.hits, rest.sent
        page = replace(page, answered=rest.answered)
    allowed = (view.tree.provider.size_limit or _MANY) - before
    sent = yield from _send(task, hits, min(paged.size, allowed))
    if sent.beyond is None or sent.count == allowed:
        return (yield from _ended(task.message_id, Result(code=sent.code), page.controls(), waiting=sent.waiting))
    hits = chain((sent.beyond,), hits)
    rest = Rest(question=question, tree=view.tree, hits=hits, sent=before + sent.count, answered=page.answered)
    cookie = pages.keep(rest)
    return (yield from _ended(task.message_id, SUCCESS, page.controls(cookie), waiting=sent.waiting))


def _sorted_control(orders: object) -> Control:
    if isinstance(orders, Unsortable):
        value = encode_sort_result(orders.code, orders.attribute or None)
    else:
        value = encode_sort_result(ResultCode.SUCCESS)
    return Control(oid=SORT_RESULT, value=value)
