"""What people see while things break: signed-in users who ask all the time, and the figures of what they saw.

A probe asks nginx's question of forward-auth, as a reverse proxy does that goes on to the next copy of an outpost when
one can't be reached or answers 503. Every answer is kept, so that a test says afterwards what had to be so, and for how
long.
"""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.peers_program import eventually

QUESTION = "/outpost.goauthentik.io/auth/nginx"
NOBODY, UNAVAILABLE = 0, 503
Address = tuple[str, int]


def stays(look: Callable[[], object], what: str, seconds: float) -> None:
    """Something goes on to be so for as long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert look(), f"not for {seconds:g} s: {what}"
        time.sleep(0.01)


def seconds_until(look: Callable[[], object], what: str, within: float, since: float | None = None) -> float:
    """How long it took until something was so, from now or from an earlier reading of time.monotonic."""
    began = time.monotonic() if since is None else since
    eventually(look, what, within=within)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One answer: when (time.monotonic), its status (0 for nobody reached), how long it took, who one is said to be."""

    at: float
    status: int
    took: float
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, for which page and with which cookies; `host` carries the port."""

    username: str
    host: str
    url: str
    cookies: str

    @property
    def headers(self) -> dict[str, str]:
        """As nginx's snippet sends them."""
        return {"Host": self.host, "X-Original-URL": self.url, "Cookie": self.cookies}


class Probe:
    """One user, asking every `pace` seconds in a thread until closed. `copies` are the outpost's addresses."""

    def __init__(self, asker: Asker, copies: Sequence[Address], pace: float = 0.05, patience: float = 3.0) -> None:
        self.asker = asker
        self.answers: list[Seen] = []
        self._copies = list(copies)
        self._pace = pace
        self._patience = patience
        self._connection: http.client.HTTPConnection | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {asker.username}", daemon=True)
        self._thread.start()

    @property
    def last(self) -> Seen:
        """The newest answer."""
        eventually(lambda: self.answers, f"{self.asker.username} hears something")
        return self.answers[-1]

    def since(self, moment: float) -> list[Seen]:
        """What was answered to questions after a moment."""
        return [seen for seen in self.answers if seen.at >= moment]

    def errors(self, *, good: int = 200, since: float = 0.0) -> list[Seen]:
        """Every answer that was another."""
        return [seen for seen in self.since(since) if seen.status != good]

    def refused_at(self) -> float | None:
        """When the last let-in before the first refusal was answered; None while there was no refusal."""
        refusal = next((seen for seen in self.answers if seen.status in (401, 403)), None)
        return None if refusal is None else refusal.at

    def let_in_after(self, moment: float) -> list[Seen]:
        """Every time that one was let in though asked later."""
        return [seen for seen in self.since(moment) if seen.status == 200]

    def worst(self, since: float = 0.0) -> float:
        """The longest that an answer took, in seconds."""
        return max((seen.took for seen in self.since(since)), default=0.0)

    def close(self) -> None:
        """Stop asking."""
        self._ended.set()
        self._thread.join(2 * self._patience * len(self._copies) + 1)
        assert not self._thread.is_alive(), "a probe hangs"

    def _run(self) -> None:
        while not self._ended.wait(self._pace):
            began = time.monotonic()
            status, name = self._ask_somebody()
            self.answers.append(Seen(at=began, status=status, took=time.monotonic() - began, name=name))
        self._drop()

    def _ask_somebody(self) -> tuple[int, str]:
        """The copy asked last, else each other in turn; once more each, as a kept connection may just have ended."""
        last = NOBODY, ""
        for _ in range(2 * len(self._copies)):
            with contextlib.suppress(OSError, http.client.HTTPException):
                last = self._ask()
                if last[0] != UNAVAILABLE:
                    return last
            self._drop()
            self._copies.append(self._copies.pop(0))
        return last

    def _ask(self) -> tuple[int, str]:
        if self._connection is None:
            host, port = self._copies[0]
            self._connection = http.client.HTTPConnection(host, port, timeout=self._patience)
        self._connection.request("GET", QUESTION, headers=self.asker.headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("X-authentik-name", "")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
