"""One open stream as seen from control: what its instance holds, what it still lacks, and whether it may stay.

What the instance says is taken here and judged at once; `watch` does the writing. Pure but for the clock of pushes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, assert_never
from uuid import UUID

import grpc

from control.domain.application import Provider
from control.domain.outpost import Drain, InstanceState, Outpost, Rejection, Token
from control.fleet.authority import Client
from control.fleet.instances import find_drain, find_objection_to_protocol
from control.link.caller import CallRefused, find_objection, refused
from control.link.directory import Feed, Subscription
from control.link.hearing import Pace, Said
from control.link.ledger import Key
from control.link.limits import Allowance, Crowd, Limits, exhausted
from control.link.messages import Applied, DirectoryApplied, Health, Hello, TokenHeld
from control.link.metrics import Metrics
from control.link.revisions import Revisions
from control.link.roster import SAYS_FAREWELL, Progress, Roster
from control.link.state import Part, State
from control.link.sync import Sync
from control.link.translate import Encoded

MOST_SHOWN = 100
MOST_LOGGED = 5
# Since this version of the protocol an instance keeps tokens that it is sent.
TAKES_TOKENS = 2

log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What all streams share."""

    revisions: Revisions
    roster: Roster
    metrics: Metrics
    clock: Callable[[], datetime]
    identify: Callable[[Client], Coroutine[Any, Any, Outpost]]
    limits: Limits
    hellos: Allowance
    newcomers: Allowance
    pace: Pace
    feed: Feed
    crowd: Crowd = field(default_factory=Crowd)

    def part(self, client: Client) -> Part | None:
        """What the client's outpost is to hold."""
        return self.revisions.state.parts.get(client.outpost)

    def count_hello(self, key: Key) -> None:
        """An instance has said Hello. Raises CallRefused where it has done so too often, on whatever stream."""
        if not self.hellos.spend(key):
            often = f"{self.limits.hellos} at once and one every {self.limits.hello_seconds:g} s are answered"
            raise exhausted("too_many_hellos", f"too many Hellos: {often}")

    def count_newcomer(self, key: Key) -> None:
        """An instance calls that may be new. Raises CallRefused where its outpost has had too many new ones."""
        if key not in self.roster.instances and not self.newcomers.spend(key[0]):
            often = f"{self.limits.newcomers} at once and one every {self.limits.newcomer_seconds:g} s are taken"
            raise exhausted("too_many_newcomers", f"too many new instances of this outpost: {often}")


class Stream:
    """The state of one open stream."""

    def __init__(self, fleet: Fleet, client: Client, key: Key) -> None:
        self.client = client
        self.key = key
        self.sync: Sync[Encoded] = Sync()
        self.dirty = asyncio.Event()
        self.ending: asyncio.Future[CallRefused] = asyncio.get_running_loop().create_future()
        self.pushed_at = 0.0
        # The wish to drain that the instance was told of on this stream.
        self.drain: Drain | None = None
        # The stream's part in the feed of users and groups, if it has one; it gets something while its outpost serves.
        self.directory: Subscription | None = None
        self.serving, self.idle = asyncio.Event(), asyncio.Event()
        self._served: Mapping[UUID, Provider] = {}
        # By fingerprint, the newest token that the instance was sent on this stream.
        self.sent_token = ""
        # What the instance is, which its outpost may not be for ever.
        self._type = ""
        self._fleet = fleet

    def on_state(self, state: State) -> None:
        """A new state: the instance may have to go, or lack something."""
        objection = find_objection(state.facts, self.client, self._fleet.clock())
        if objection is not None:
            self.end(refused(objection))
        self._look_at_type(state)
        self._look_what_is_served(state)
        self.dirty.set()

    def check(self) -> None:
        """Before anything is written: what is new may be just what the instance must not have. Raises CallRefused."""
        if self.ending.done():
            raise self.ending.result()

    def end(self, why: CallRefused) -> None:
        """End the stream, whatever it is doing."""
        if not self.ending.done():
            self.ending.set_result(why)

    def take(self, message: Said) -> None:
        """The instance has said something."""
        match message:
            case Hello():
                self._take_hello(message)
            case Applied():
                self._applied(message)
            case Health():
                self._fleet.roster.beat(self.key, message)
            case TokenHeld():
                self._fleet.roster.holds(self.key, message.fingerprint)
            case DirectoryApplied():
                if self.directory is not None:
                    self.directory.answered()
            case _:
                assert_never(message)

    def begin(self, hello: Hello) -> None:
        """The instance has said who it is and what it holds."""
        self._type = hello.type
        self.sync.hello(hello)
        self.dirty.set()

    def next_drain(self) -> Drain | None:
        """The wish that this instance ends, if it is to be told of one."""
        known = self._fleet.roster.instances.get(self.key)
        if self.drain is not None or known is None:
            return None
        return find_drain(self._fleet.revisions.state.facts.drains, known, self._fleet.clock())

    def next_token(self) -> Token | None:
        """The newest token of the outpost, if the instance lacks it and was not sent it on this stream."""
        facts = self._fleet.revisions.state.facts
        known, token = self._fleet.roster.instances.get(self.key), facts.newest_tokens.get(self.client.outpost)
        if known is None or token is None or known.protocol < TAKES_TOKENS:
            return None
        if find_objection(facts, self.client, self._fleet.clock()) is not None:
            # A token that has leaked was replaced: whoever has the old one must not be told the new one.
            return None
        has = (self.sent_token, known.environment_token, known.held_token)
        return None if token.fingerprint in has else token

    def told_to_drain(self, drain: Drain) -> None:
        """The wish has been passed on."""
        self.drain = drain
        known = self._fleet.roster.instances.get(self.key)
        if known is not None and known.protocol < SAYS_FAREWELL:
            # It will drain without saying so.
            self._fleet.roster.drains(self.key)

    def gone(self, why: str) -> None:
        """The instance has gone; `why` is empty where nobody sent it away."""
        roster = self._fleet.roster
        known = roster.instances.get(self.key)
        if self.drain is not None and known is not None and known.state is InstanceState.DRAINING:
            roster.has_drained(self.drain.id)
        roster.leave(self.key, why)

    def tell(self, part: Part, *, urgent: bool) -> None:
        """Note how far the instance is."""
        refusals = islice(self.sync.refused.values(), MOST_SHOWN)
        rejections = tuple(Rejection(key=each.key, reason=each.reason) for each in refusals)
        progress = Progress(applied=self.sync.revision, wanted=part.wanted.revision, rejections=rejections)
        self._fleet.roster.progress(self.key, progress, urgent=urgent)

    def _look_at_type(self, state: State) -> None:
        outpost = state.facts.outposts.get(self.client.outpost)
        if outpost is not None and outpost.type != self._type:
            self.end(_of_wrong_type(outpost, self._type))

    def _look_what_is_served(self, state: State) -> None:
        part = state.parts.get(self.client.outpost)
        if part is None:
            # Its options can't be used: it stays as it is.
            return
        if self.directory is not None and part.served is not self._served:
            self.directory.turn()
        self._served = part.served
        (self.serving if part.served else self.idle).set()
        (self.idle if part.served else self.serving).clear()

    def _take_hello(self, hello: Hello) -> None:
        try:
            self._fleet.count_hello(self.key)
        except CallRefused as error:
            self.end(error)
        else:
            self.begin(hello)

    def _applied(self, applied: Applied) -> None:
        if not self.sync.applied(applied):
            return
        metrics = self._fleet.metrics
        metrics.push_seconds.observe(time.monotonic() - self.pushed_at)
        metrics.rejected.inc(applied.count)
        if applied.count:
            some = "; ".join(f"{each.key}: {each.reason}" for each in applied.rejected[:MOST_LOGGED])
            fields = {"instance": self.key[1], "count": applied.count, "resources": some}
            log.warning("an outpost refused resources", extra=fields)
        part = self._fleet.part(self.client)
        if part is not None:
            self.tell(part, urgent=True)
        self.dirty.set()


def introduced(hello: Hello, token: Token | None) -> Hello:
    """The Hello, in which an older version says nothing of tokens: it has none but that of its certificate."""
    if hello.environment_token or token is None:
        return hello
    return replace(hello, environment_token=token.fingerprint)


def check_hello(hello: Hello, client: Client, outpost: Outpost) -> None:
    """Whether what an instance says of itself fits its certificate and us. Raises CallRefused."""
    if hello.instance != client.instance:
        message = "the instance is not the one the certificate was given to"
        raise CallRefused(grpc.StatusCode.PERMISSION_DENIED, "wrong_instance", message)
    objection = find_objection_to_protocol(hello.protocol)
    if objection:
        raise CallRefused(grpc.StatusCode.FAILED_PRECONDITION, "protocol", objection)
    if hello.type != outpost.type:
        raise _of_wrong_type(outpost, hello.type)


def _of_wrong_type(outpost: Outpost, found: str) -> CallRefused:
    message = f"this outpost is of type {outpost.type}, not {found!r}"
    return CallRefused(grpc.StatusCode.FAILED_PRECONDITION, "wrong_type", message)
