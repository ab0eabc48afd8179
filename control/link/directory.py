"""The feed of users and groups on its way to the streams that may have it: a whole copy, then each change.

A stream's `Course` reads what its outpost lacks. Once that is nothing, what each commit changed is read and serialised
once, for all streams whose outposts are shown the same attributes (`Channel`). Few parts are on their way to an outpost
before it has answered, so a config is never behind more than these; few whole copies are made at once, one of each
outpost, and one that is not answered waits without holding up others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar
from uuid import UUID

import grpc
from sqlalchemy.exc import SQLAlchemyError

from control.domain.directory import Cursor, Position, Shown
from control.fleet.directory import ShowsNothing
from control.link.caller import CallRefused
from control.link.copies import Copies, Turn
from control.link.course import Course, Source, in_parts
from control.link.metrics import Metrics
from control.store import Store
from protos.outpost.v1 import link_pb2

# The version of the protocol that knows of the directory.
PROTOCOL = 2
# Parts on their way to one outpost that it has not answered.
WINDOW = 2
# An outpost that answers none for so long is cut: to call again may help it. It answers none while it applies a config.
ANSWER_SECONDS = 300.0
# Who answers none for so long while it is sent a whole copy lets others have theirs.
SILENT_SECONDS = 2.0
# Whole copies that are made at once.
COPIES = 2
# Changes that are kept serialised, for streams that are not so quick.
RECENT = 64
RETRY_SECONDS = 1.0

Result = TypeVar("Result")
log = logging.getLogger("control.link")


class Subscription:
    """A stream's part in the feed: what is on its way and what waits to be written."""

    def __init__(self, outpost: UUID, held: Position | None, dirty: asyncio.Event) -> None:
        self.outpost = outpost
        self.held = held
        self.moved = asyncio.Event()
        # Whether it may have to be shown other attributes than up to now.
        self.turned = False
        self._dirty = dirty
        self._window = asyncio.BoundedSemaphore(WINDOW)
        self._waiting: deque[link_pb2.WatchResponse] = deque()

    async def send(self, message: link_pb2.WatchResponse, silent: Callable[[], None] = lambda: None) -> None:
        """Have it written, once the outpost has answered enough of what was before. Raises CallRefused.

        `silent` is called when that takes longer than a moment.
        """
        waiting = asyncio.get_running_loop().call_later(SILENT_SECONDS, silent)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._window.acquire()
        except TimeoutError:
            reason = f"no answer to a part of the directory within {ANSWER_SECONDS:g} s"
            raise CallRefused(grpc.StatusCode.ABORTED, "directory_unanswered", reason) from None
        finally:
            waiting.cancel()
        self._waiting.append(message)
        self._dirty.set()

    def take(self) -> link_pb2.WatchResponse | None:
        """The next to be written, if there is one."""
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        if self._waiting:
            self._dirty.set()
        return message

    def turn(self) -> None:
        """What the outpost serves is not what it was."""
        self.turned = True
        self.moved.set()

    def answered(self) -> None:
        """The outpost has taken one; more answers than there were parts mean nothing."""
        with suppress(ValueError):
            self._window.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What a look at the log found: for streams that are at `after` or between there and what it reached.

    And of those for the ones of `outposts`: in the view of that look they were shown these attributes.
    """

    after: int
    reached: Cursor
    messages: tuple[link_pb2.WatchResponse, ...]
    outposts: frozenset[UUID]


class Channel:
    """What is read for all streams whose outposts are shown the same attributes, from `end` on."""

    def __init__(self, shown: Shown, end: Cursor) -> None:
        self.shown = shown
        self.end = end
        self.recent: deque[Delta] = deque(maxlen=RECENT)
        self.subscriptions: set[Subscription] = set()

    def find_delta(self, reached: Cursor) -> Delta | None:
        """What is in memory of what comes after a place."""
        at = _revision(reached)
        return next((each for each in self.recent if each.after <= at < _revision(each.reached)), None)

    def take(self, delta: Delta) -> None:
        """Have it for those who listen."""
        self.recent.append(delta)
        self.end = delta.reached

    def start_over(self, end: Position) -> None:
        """Go on from there; how to get there is up to each stream."""
        self.recent.clear()
        self.end = Cursor(position=end)


class Feed:
    """Reads on after each commit, while anybody listens, and serves those who do."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._source = Source(store, metrics)
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(max_workers=COPIES + 1, thread_name_prefix="directory")
        self._copies = Copies(COPIES)
        self._subscriptions: set[Subscription] = set()
        self._channels: dict[Shown, Channel] = {}
        self._woken = asyncio.Event()
        # Grows whenever each stream has to look for itself.
        self._starts = 0

    async def begin(self) -> None:
        """Before anybody is served."""
        await self._in_pool(self._source.begin)

    def wake(self) -> None:
        """Something was committed."""
        self._woken.set()

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def follow(self) -> NoReturn:
        """Read on, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._read_on()
            except SQLAlchemyError as error:
                await _pause(error)
                self._woken.set()

    async def serve(self, subscription: Subscription) -> NoReturn:
        """Bring an outpost to the present and keep it there. Raises CallRefused."""
        course = Course(self._source, subscription.outpost, subscription.held)
        with self._listening(subscription), self._metrics.directory_streams.track_inprogress():
            while True:
                start = self._starts
                subscription.turned = False
                subscription.moved.clear()
                try:
                    await self._catch_up(course, subscription)
                except ShowsNothing:
                    # The stream will hear of that, or it is over already.
                    await subscription.moved.wait()
                except SQLAlchemyError as error:
                    # What it holds is as good as before, and so is the stream: its configuration comes over it too.
                    await _pause(error)
                else:
                    await self._keep_up(course, subscription, start)

    async def _catch_up(self, course: Course, subscription: Subscription) -> None:
        """Lead an outpost on by itself."""
        steps = course.lead_on()
        turn = Turn(self._copies, subscription.outpost)
        copying = False
        try:
            while (message := await self._in_pool(lambda: next(steps, None))) is not None:
                if message.directory.begins:
                    copying = True
                    await turn.take()
                    self._metrics.directory_copies.inc()
                await subscription.send(message, turn.give_back)
                copying = copying and not message.directory.complete
                if copying:
                    await turn.take()
        finally:
            turn.give_back()

    async def _keep_up(self, course: Course, subscription: Subscription, start: int) -> None:
        """Send what is read for all, until there is a gap between that and where the outpost is."""
        asked = False
        with self._joined(course, subscription) as channel:
            while course.reached is not None and start == self._starts and not subscription.turned:
                subscription.moved.clear()
                delta = channel.find_delta(course.reached)
                if delta is not None:
                    if subscription.outpost not in delta.outposts:
                        return
                    for message in delta.messages:
                        await subscription.send(message)
                    course.reached = delta.reached
                elif channel.end == course.reached:
                    await subscription.moved.wait()
                elif asked or _revision(course.reached) < _revision(channel.end):
                    return
                else:
                    # It looked for itself and is ahead: unless what it saw never was, the feed gets there now.
                    asked = True
                    self._woken.set()
                    await subscription.moved.wait()

    async def _read_on(self) -> None:
        for channel in tuple(self._channels.values()):
            delta = await self._in_pool(partial(self._find_delta_after, channel))
            if delta is None:
                # Each stream looks for itself how to get up to now, and all follow together from here.
                channel.start_over(await self._in_pool(partial(self._source.position, channel.shown)))
                self._starts += 1
            elif delta.messages:
                channel.take(delta)
        for subscription in self._subscriptions:
            subscription.moved.set()

    def _find_delta_after(self, channel: Channel) -> Delta | None:
        """What comes next; None where that is too much for the memory, or where only a whole copy leads on."""
        end, outposts = channel.end, {each.outpost for each in tuple(channel.subscriptions)}
        news, shown_to = self._source.look_for_all(outposts, end, channel.shown)
        if news is None or not news.complete:
            return None
        messages = tuple(in_parts(news)) if news.entries or news.removed else ()
        return Delta(after=_revision(end), reached=news.reached, messages=messages, outposts=shown_to)

    @contextmanager
    def _joined(self, course: Course, subscription: Subscription) -> Iterator[Channel]:
        """The channel of what the outpost is shown; a new one begins where the outpost is."""
        if course.reached is None:
            raise AssertionError("a course that leads nowhere has been followed to its end")
        channel = self._channels.get(course.shown)
        if channel is None:
            channel = self._channels[course.shown] = Channel(course.shown, course.reached)
        # Something may have been committed since it looked.
        self._woken.set()
        channel.subscriptions.add(subscription)
        try:
            yield channel
        finally:
            channel.subscriptions.discard(subscription)
            if not channel.subscriptions:
                del self._channels[channel.shown]

    @contextmanager
    def _listening(self, subscription: Subscription) -> Iterator[None]:
        self._subscriptions.add(subscription)
        try:
            yield
        finally:
            self._subscriptions.discard(subscription)

    async def _in_pool(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _revision(cursor: Cursor) -> int:
    return cursor.position.revision


async def _pause(error: SQLAlchemyError) -> None:
    log.warning("the directory can't be read", extra={"reason": type(error).__name__})
    await asyncio.sleep(RETRY_SECONDS)
