"""Many at once over shared connections, some of whom leave in the middle: everybody has their own answer."""

import random
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import pytest

from tests.interop.proxy.asking import request, response, wire
from tests.interop.proxy.world import ProxyWorld
from tests.support.peers import seen_by_application

pytestmark = pytest.mark.interop
CLIENTS, REQUESTS = 24, 25


@pytest.mark.parametrize("name", ["gunicorn", "socket"])
def test_nobody_is_given_the_answer_of_somebody_else(world: ProxyWorld, name: str) -> None:
    cookies = world.cookies(name)

    def visit(number: int) -> int:
        chance, served = random.Random(number), 0
        while served < REQUESTS:
            with wire(world) as connection:
                for _ in range(chance.randrange(1, 6)):
                    mine = f"/{number}/{served}/{chance.random()}"
                    body = b"x" * chance.choice((0, 0, 10, 5000, 100_000))
                    line = f"POST {mine} HTTP/1.1" if body else f"GET {mine} HTTP/1.1"
                    length = (("Content-Length", str(len(body))),) if body else ()
                    sent = request(world, name, line, *length, cookies=cookies) + body
                    if chance.random() < 0.15:
                        # Gone before its answer, or even before its request is complete.
                        connection.sendall(sent[: chance.randrange(1, len(sent) + 1)])
                        break
                    connection.sendall(sent)
                    check(response(connection), mine)
                    served += 1
        return served

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(visit, range(CLIENTS))) >= CLIENTS * REQUESTS


def check(answer: HTTPResponse, path: str) -> None:
    """The answer is to this request."""
    assert answer.status == 200, (answer.status, answer.read()[:500])
    seen = seen_by_application(answer.read())
    assert (seen.path, seen.identity["username"]) == (path, "alice")
