"""The state machine of one stream, played against an instance that refuses what it likes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from control.link.layers import Layer, Layers
from control.link.messages import Applied, Hello, Push, Rejected, Wanted
from control.link.sync import Sync


@dataclass(frozen=True)
class Thing:
    key: str
    digest: str


def wanted(revision: int, **digests: str) -> Wanted[Thing]:
    def layer(keys: str) -> Layer[Thing]:
        return Layer({key: Thing(key, digests[key]) for key in keys if key in digests})

    return Wanted(revision=revision, resources=Layers(layer("abc"), layer("def")))


def hello(revision: int = 0, **held: str) -> Hello:
    return Hello(
        instance="i",
        type="proxy",
        hostname="",
        version="",
        build="",
        protocol=1,
        started=None,
        clock=None,
        held=held,
        revision=revision,
    )


def test_a_hello_tells_of_what_was_refused_and_is_held_by_now() -> None:
    sync: Sync[Thing] = Sync()
    sync.hello(hello())
    sync.next_push(wanted(1, a="1", b="1"))
    refused = tuple(Rejected(key=key, digest="1", reason="died of it") for key in "ab")
    sync.applied(Applied(revision=1, rejected=refused))
    sync.hello(hello(1, a="1"))
    assert [*sync.refused] == ["b"]


def pushed(push: Push[Thing] | None) -> dict[str, str]:
    assert push is not None
    return {thing.key: thing.digest for thing in push.resources}


def applied(revision: int, **refused: str) -> Applied:
    rejected = tuple(Rejected(key=key, digest=digest, reason="no") for key, digest in refused.items())
    return Applied(revision=revision, rejected=rejected)


def test_only_what_differs_is_sent() -> None:
    sync: Sync[Thing] = Sync()
    sync.hello(hello(a="1", b="1", gone="1"))
    push = sync.next_push(wanted(5, a="1", b="2", c="1"))
    assert pushed(push) == {"b": "2", "c": "1"}
    assert push is not None
    assert push.removed == ("gone",)


def test_nothing_to_send_means_being_up_to_date() -> None:
    sync: Sync[Thing] = Sync()
    sync.hello(hello(3, a="1"))
    assert sync.next_push(wanted(5, a="1")) is None
    assert sync.revision == 5


def test_while_a_push_is_in_flight_none_follows() -> None:
    sync: Sync[Thing] = Sync()
    sync.next_push(wanted(1, a="1"))
    assert sync.next_push(wanted(2, a="2")) is None
    assert not sync.applied(applied(2))
    assert sync.applied(applied(1))
    assert pushed(sync.next_push(wanted(3, a="3"))) == {"a": "3"}


def test_a_second_hello_forgets_what_was_in_flight() -> None:
    sync: Sync[Thing] = Sync()
    sync.next_push(wanted(1, a="1"))
    sync.hello(hello())
    assert pushed(sync.next_push(wanted(1, a="1"))) == {"a": "1"}


def test_what_was_refused_waits_until_it_differs_and_is_not_expected() -> None:
    sync: Sync[Thing] = Sync()
    sync.hello(hello(a="0"))
    first = wanted(1, a="1", b="1")
    sync.next_push(first)
    sync.applied(applied(1, a="1", b="1"))
    assert sync.next_push(first) is None
    assert sync.expected(first) == {"a": "0"}
    assert pushed(sync.next_push(wanted(2, a="2", b="1"))) == {"a": "2"}


def test_what_stands_refused_no_longer_is_held() -> None:
    sync: Sync[Thing] = Sync()
    sync.next_push(wanted(1, a="1", b="1"))
    sync.applied(applied(1, a="1"))
    sync.next_push(wanted(2, a="1"))
    sync.applied(applied(2))
    assert (sync.refused, sync.held) == ({}, {"a": "1"})


def test_what_was_refused_is_removed_once_nobody_wants_it() -> None:
    sync: Sync[Thing] = Sync()
    sync.next_push(wanted(1, a="1"))
    sync.applied(applied(1, a="1"))
    push = sync.next_push(wanted(2))
    assert push is not None
    assert push.removed == ("a",)
    sync.applied(applied(2))
    assert sync.refused == {}
    assert sync.next_push(wanted(2)) is None


def test_an_instance_that_never_lets_go_is_not_told_without_end() -> None:
    sync: Sync[Thing] = Sync()
    sync.next_push(wanted(1, a="1"))
    sync.applied(applied(1, zombie="9"))
    sync.next_push(wanted(1, a="1"))
    sync.applied(applied(1, zombie="9"))
    assert sync.next_push(wanted(1, a="1")) is None


DIGESTS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


@given(st.lists(st.tuples(DIGESTS, st.booleans(), st.booleans()), max_size=12), st.sampled_from(["", "1", "2"]))
def test_an_instance_ends_up_with_all_it_does_not_refuse(
    steps: list[tuple[dict[str, str], bool, bool]], bad: str
) -> None:
    """Whatever happens on the way, and with a version that the instance always refuses."""
    sync: Sync[Thing] = Sync()
    held: dict[str, str] = {}
    refused: dict[str, str] = {}
    flying: Push[Thing] | None = None

    def land(push: Push[Thing]) -> None:
        for key in push.removed:
            held.pop(key, None)
            refused.pop(key, None)
        for thing in push.resources:
            (refused if thing.digest == bad else held)[thing.key] = thing.digest
            if thing.digest != bad:
                refused.pop(thing.key, None)
        sync.applied(applied(push.revision, **refused))

    newest = wanted(0)
    for revision, (digests, lands, greets) in enumerate(steps, 1):
        newest = wanted(revision, **digests)
        flying = sync.next_push(newest) or flying
        if flying and lands:
            land(flying)
            flying = None
        if greets:
            sync.hello(hello(0, **held))
            flying = None
    while flying := flying or sync.next_push(newest):
        land(flying)
        flying = None
    assert {key: held.get(key) for key, thing in newest.resources.items() if thing.digest != bad} == {
        key: thing.digest for key, thing in newest.resources.items() if thing.digest != bad
    }
    assert held.keys() <= newest.resources.keys()
    assert sync.expected(newest) == held
