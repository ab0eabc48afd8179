"""Several addresses of the link, of which one refuses us."""

from collections.abc import Iterator

import grpc
import pytest

from tests.dataplane.link.test_watch import Outpost, play, request_of, until
from tests.support.fake_control import FakeControl, options


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL])
def test_a_link_that_refuses_us_has_not_served(control: FakeControl, code: grpc.StatusCode) -> None:
    """A write that meets the end of the stream hides why it ended behind INTERNAL (grpc/grpc#36066)."""
    control.hold(options())
    with FakeControl(authority=control.authority) as older:
        older.refuse_streams = code, "speaks version 2 of the link's protocol"
        control.link_addresses = [f"localhost:{older.link_port}", f"localhost:{control.link_port}"]

        async def story(outpost: Outpost) -> None:
            await until(lambda: outpost.held.resources)
            assert not outpost.watcher.status.unsupported

        outpost = play(request_of(control), story)
    assert outpost.places[-1] == f"localhost:{control.link_port}"
    assert outpost.waits == []
