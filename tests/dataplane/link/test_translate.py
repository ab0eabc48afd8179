"""What the outpost says on its stream, in messages no larger than control takes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link import translate
from dataplane.link.held import Held, HeldResource, LinkBroken, Rejection
from dataplane.link.messages import Vitals
from protos.outpost.v1 import resources_pb2
from tests.dataplane.link.test_enrol import INSTANCE

# Control takes no larger messages (control/link/transport.py).
TAKEN = 512 * 1024
AT = 1_700_000_000.25


@given(st.binary(max_size=200))
def test_garbage_breaks_the_link_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(LinkBroken):
        translate.held_resource(data)


@pytest.mark.parametrize("data", [b"\xff", b"", resources_pb2.Resource(digest="d").SerializeToString()])
def test_a_resource_without_a_key_breaks_the_link(data: bytes) -> None:
    with pytest.raises(LinkBroken):
        translate.held_resource(data)


@pytest.mark.parametrize(("held", "sizes"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
def test_a_large_hello_goes_in_parts(monkeypatch: pytest.MonkeyPatch, held: int, sizes: list[int]) -> None:
    monkeypatch.setattr(translate, "PART_ENTRIES", 2)
    keys = [f"k{number}" for number in range(held)]
    resources = {key: HeldResource(key=key, digest="d", data=b"") for key in keys}
    first, *rest = translate.hello(INSTANCE, Held(revision=7, resources=resources), AT)
    assert first.hello.revision == 7
    assert first.hello.continued == bool(rest)
    assert [part.held.last for part in rest] == [False] * (len(rest) - 1) + [True] * bool(rest)
    maps = [first.hello.held, *(part.held.held for part in rest)]
    assert [len(each) for each in maps] == sizes
    assert [key for each in maps for key in sorted(each)] == keys


def test_parts_of_a_hello_are_no_larger_than_control_takes() -> None:
    # The longest key there is: what ended of a session, its user and its provider.
    parts = ("ended", "session", "subject", "provider")
    keys = ["/".join(f"{part}/{number:036x}" for part in parts) for number in range(5000)]
    resources = {key: HeldResource(key=key, digest="d" * 32, data=b"") for key in keys}
    messages = [*translate.hello(INSTANCE, Held(revision=7, resources=resources), AT)]
    assert len(messages) == 3
    assert max(message.ByteSize() for message in messages) <= TAKEN


def test_what_is_refused_is_told_as_far_as_control_takes_it() -> None:
    few = [Rejection(key="k", digest="d", reason="no")]
    (told,) = translate.applied(7, few).applied.rejected
    assert (told.key, told.digest, told.reason) == ("k", "d", "no")
    many = [Rejection(key=f"provider/{number}", digest="d" * 32, reason="why " * 1000) for number in range(5000)]
    message = translate.applied(7, many)
    assert 200 < len(message.applied.rejected) < 5000
    assert message.ByteSize() <= TAKEN
    assert (
        translate.health(Vitals(uptime=1, workers=1, memory=1, load=0, last_error="e" * 1_000_000), AT).ByteSize()
        <= TAKEN
    )
