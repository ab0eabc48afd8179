"""People who sign in while all this goes on, in a thread of their own: they get in, or a page that explains.

What a load balancer and a browser would show of themselves, where nobody is there at all, is no answer of ours.
"""

import random
import threading
import urllib.error
from collections import Counter
from http.client import HTTPException

from tests.interop.world import PASSWORD
from tests.soak.fleet import Fleet, Person
from tests.support.browser_http import Page, Visitor

PACE = (0.5, 2.5)


class Visits(threading.Thread):
    """Signs people in until `finish`. `failures` are answers that nobody should get."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        super().__init__(name="visits", daemon=True)
        self._fleet = fleet
        self._chance = chance
        self._done = threading.Event()
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def finish(self) -> None:
        """Sign nobody in any more."""
        self._done.set()
        self.join(120)
        assert not self.is_alive(), "the visits hang"

    def run(self) -> None:
        """Sign in one after the other."""
        while not self._done.wait(self._chance.uniform(*PACE)):
            person = self._chance.choice(self._fleet.steady)
            try:
                page = self._sign_in(person)
            except (urllib.error.URLError, HTTPException, OSError):
                self.counts["nobody there"] += 1
            except AssertionError as error:
                self._fail(f"{person.username}: {error}")
            else:
                self._judge(person.username, page)

    def _sign_in(self, person: Person) -> Page:
        visitor = Visitor()
        page = visitor.get(person.group.site.url + "/")
        if page.status != 200:
            return page
        return visitor.submit(page, {"username": person.username, "password": PASSWORD})

    def _judge(self, username: str, page: Page) -> None:
        if page.status == 200:
            self.counts["signed in"] += 1
        elif page.status == 503 and "retry-after" in page.headers:
            self.counts["told to wait"] += 1
        else:
            self._fail(f"{username}: {page.status} at {page.url}\n{page.text[:3000]}")

    def _fail(self, what: str) -> None:
        self.counts["failed"] += 1
        self.failures.append(what)
