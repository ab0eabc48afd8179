"""Which version of a resource is served when some are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link.held import HeldResource
from dataplane.runtime.rollout import Attempt, Stuck


def resource(key: str, digest: str) -> HeldResource:
    return HeldResource(key=key, digest=digest, data=digest.encode())


def attempt(served: dict[str, str], changed: dict[str, str], *removed: str) -> Attempt:
    return Attempt(
        served={key: resource(key, digest) for key, digest in served.items()},
        changed={key: resource(key, digest) for key, digest in changed.items()},
        removed=frozenset(removed),
    )


def digests(resources: dict[str, HeldResource]) -> dict[str, str]:
    return {key: each.digest for key, each in resources.items()}


def test_without_refusals_a_change_is_made_whole() -> None:
    subject = attempt({"a": "1", "b": "1"}, {"b": "2", "c": "1"}, "a")
    assert digests(subject.result) == {"b": "2", "c": "1"}
    assert [each.key for each in subject.upserts] == ["b", "c"]
    assert subject.removals == ("a",)
    assert subject.rejections == ()


def test_a_refused_resource_keeps_its_previous_version() -> None:
    subject = attempt({"a": "1"}, {"a": "2", "b": "1"}).refuse({"a": "bad"})
    assert digests(subject.result) == {"a": "1", "b": "1"}
    assert [(each.key, each.digest, each.reason) for each in subject.rejections] == [("a", "2", "bad")]
    assert digests(subject.refused) == {"a": "2"}


def test_a_refused_newcomer_is_left_out() -> None:
    subject = attempt({}, {"a": "1", "b": "1"}).refuse({"a": "bad"})
    assert digests(subject.result) == {"b": "1"}


def test_a_previous_version_that_is_refused_as_well_is_left_out() -> None:
    subject = attempt({"a": "1"}, {"a": "2"}).refuse({"a": "bad"}).refuse({"a": "needs what is gone"})
    assert digests(subject.result) == {}
    assert [each.reason for each in subject.rejections] == ["bad"]


def test_a_resource_that_loses_what_it_needs_is_left_out_and_remembered() -> None:
    subject = attempt({"provider": "1", "certificate": "1"}, {}, "certificate").refuse({"provider": "no certificate"})
    assert digests(subject.result) == {}
    assert digests(subject.refused) == {"provider": "1"}


def test_a_worker_that_refuses_what_it_was_not_given_is_stuck() -> None:
    with pytest.raises(Stuck):
        attempt({}, {"a": "1"}).refuse({"z": "?"})


KEYS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"))


@given(KEYS, KEYS, st.sets(st.sampled_from("abcd")), st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from("12"))))
def test_refusing_comes_to_an_end_without_serving_anything_refused(
    served: dict[str, str], changed: dict[str, str], removed: set[str], bad: set[tuple[str, str]]
) -> None:
    subject = attempt(served, changed, *(removed - changed.keys()))
    for _ in range(2 * 4 + 1):
        refusals = {key: "bad" for key, each in subject.result.items() if (key, each.digest) in bad}
        if not refusals:
            break
        subject = subject.refuse(refusals)
    else:
        pytest.fail("it did not end")
    result = digests(subject.result)
    assert not {(key, digest) for key, digest in result.items()} & bad
    for key, digest in changed.items():
        # What is good is never left out because something else is bad.
        assert (key, digest) in bad or result[key] == digest
