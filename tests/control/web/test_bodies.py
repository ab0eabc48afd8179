"""Large bodies: few at a time, whoever sends them and however slowly."""

from collections.abc import Iterable
from threading import Event, Thread
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.test import Client, EnvironBuilder

from control.web.bodies import SMALL, LargeBodies, is_large

DEADLINE = 10


class Slow:
    """An app that reads for as long as the test likes."""

    def __init__(self) -> None:
        self.entered = [Event(), Event()]
        self.go_on = Event()
        self._count = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if is_large(environ):
            self.entered[self._count].set()
            self._count += 1
            assert self.go_on.wait(DEADLINE)
        start_response("200 OK", [])
        return [b"read"]


def test_beyond_the_bound_large_bodies_are_refused_and_small_ones_heard() -> None:
    slow, registry = Slow(), CollectorRegistry()
    app = LargeBodies(slow, registry, at_once=2)
    statuses: list[int] = []
    threads = [Thread(target=lambda: statuses.append(_post(app, SMALL + 1))) for _ in range(2)]
    for thread, entered in zip(threads, slow.entered, strict=True):
        thread.start()
        assert entered.wait(DEADLINE)
    refused = Client(app).post("/", data=b"x" * (SMALL + 1))
    assert (refused.status_code, refused.headers["Connection"]) == (503, "close")
    assert "Retry-After" in refused.headers
    assert _post(app, SMALL) == 200
    assert registry.get_sample_value("garrison_web_large_bodies_refused_total") == 1
    slow.go_on.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert statuses == [200, 200]


def test_a_place_is_given_back_also_by_a_failure() -> None:
    def broken(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    app = LargeBodies(broken, CollectorRegistry(), at_once=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            _post(app, SMALL + 1)


@pytest.mark.parametrize(
    ("environ", "large"),
    [
        ({}, False),
        ({"CONTENT_LENGTH": ""}, False),
        ({"CONTENT_LENGTH": str(SMALL)}, False),
        ({"CONTENT_LENGTH": str(SMALL + 1)}, True),
        ({"CONTENT_LENGTH": "many"}, True),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, True),
    ],
)
def test_what_is_large(environ: dict[str, str], large: bool) -> None:
    plain = EnvironBuilder().get_environ()
    assert is_large({**plain, **environ}) is large


def _post(app: LargeBodies, size: int) -> int:
    answer = Client(app).post("/", data=b"x" * size)
    assert answer.data == b"read"
    return int(answer.status_code)
