"""The outpost's tokens: that of its environment, and those that control has sent since, which lie in its state.

So an environment may be older than the last rotation. A token that is sent counts at once, but control is told that
it is held only when the disk has it. The newest is tried first; the environment's comes last, since whatever was sent
came later. No refusal costs a token: what control proves to refuse is tried after the others, as long as we run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from dataplane.link.enrol import Enrolled, EnrolmentFailed, Failure
from dataplane.link.keys import token_fingerprint
from dataplane.link.target import Target

# An environment may be so many rotations older than the newest token and still open the state.
MOST_KEPT = 4
# Another token may do; and of these, what control itself has proven to say.
_OF_THE_TOKEN = frozenset({Failure.UNKNOWN_TOKEN, Failure.REVOKED_TOKEN, Failure.EXPIRED_TOKEN})
_PROVEN = frozenset({Failure.REVOKED_TOKEN, Failure.EXPIRED_TOKEN})
log = logging.getLogger("dataplane.link.tokens")


@dataclass(frozen=True, slots=True)
class SentToken:
    """A token that control has sent."""

    secret: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Its name."""
        return token_fingerprint(self.secret)


class Tokens:
    """All that the outpost has. `taken` is called when control has sent a new one; `kept` tells that it is saved."""

    def __init__(
        self, environment: str = "", sent: tuple[SentToken, ...] = (), taken: Callable[[], None] = lambda: None
    ) -> None:
        self._environment = environment
        self._taken = taken
        self._moved = asyncio.Event()
        self._refused: set[str] = set()
        self.sent = sent
        self.stored = _newest(sent)

    @property
    def environment(self) -> str:
        """The fingerprint of the environment's."""
        return token_fingerprint(self._environment) if self._environment else ""

    @property
    def newest(self) -> str:
        """The fingerprint of the newest that isn't refused."""
        return token_fingerprint(self.all[0]) if self.all else ""

    @property
    def all(self) -> tuple[str, ...]:
        """The tokens themselves, in the order in which they are tried: all of them open the state."""
        known = dict.fromkeys((*(token.secret for token in self.sent), self._environment))
        return tuple(sorted(filter(None, known), key=self._refused.__contains__))

    @property
    def unsaved(self) -> bool:
        """Whether the newest that was sent does not lie in the state yet."""
        return _newest(self.sent) != self.stored

    def take(self, secret: str) -> None:
        """Control has sent a new one."""
        token = SentToken(secret)
        log.info("control has sent a new token", extra={"fingerprint": token.fingerprint[:12]})
        self.sent = (token, *(each for each in self.sent if each != token))[:MOST_KEPT]
        self._refused.discard(secret)
        self._taken()

    def try_last(self, secret: str) -> None:
        """Control has proven that it takes this one no more."""
        self._refused.add(secret)

    def kept(self, sent: tuple[SentToken, ...]) -> bool:
        """The state on disk has these; whether the newest of them is another than before."""
        if self.stored == _newest(sent):
            return False
        self.stored = _newest(sent)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return True

    async def stored_other_than(self, known: str) -> str:
        """The fingerprint of the newest that lies in the state, once it is another; empty for none."""
        while self.stored == known:
            await self._moved.wait()
        return self.stored


async def enrol_with(tokens: Tokens, target: Target, attempt: Callable[[Target], Awaitable[Enrolled]]) -> Enrolled:
    """Enrol with the newest token that control takes; `target` has that of the environment. Raises EnrolmentFailed."""
    *newer, last = tokens.all
    for token in newer:
        try:
            return await attempt(replace(target, token=token))
        except EnrolmentFailed as error:
            if error.failure not in _OF_THE_TOKEN:
                raise
            log.warning("control refuses the newest token; trying the one before", extra={"reason": str(error)})
            if error.failure in _PROVEN:
                tokens.try_last(token)
    return await attempt(replace(target, token=last))


def _newest(sent: tuple[SentToken, ...]) -> str:
    return sent[0].fingerprint if sent else ""
