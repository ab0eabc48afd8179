"""Which token the outpost proves itself with: environment and state, older and newer, each way round."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from functools import partial

import pytest

from dataplane.link.enrol import Enrolled, EnrolmentFailed, Failure, enrol
from dataplane.link.keys import token_fingerprint
from dataplane.link.state import Saved, StateUnreadable, seal, unseal
from dataplane.link.target import Target
from dataplane.link.tokens import MOST_KEPT, SentToken, Tokens, enrol_with
from protos.outpost.v1 import link_pb2
from tests.dataplane.link.test_enrol import INSTANCE, canned
from tests.dataplane.link.test_watch import Outpost, play, request_of, until
from tests.support.fake_control import FakeControl, options

# What control says of a token that it does not take.
REFUSALS = {
    "unknown": Failure.UNKNOWN_TOKEN,
    "revoked": Failure.REVOKED_TOKEN,
    "expired": Failure.EXPIRED_TOKEN,
    "away": Failure.UNREACHABLE,
    "late": Failure.CLOCK_SKEW,
}


class Control:
    """Takes tokens as a table says, and remembers which were tried."""

    def __init__(self, **says: str) -> None:
        self._says = says
        self.tried: list[str] = []

    async def attempt(self, target: Target) -> Enrolled:
        self.tried.append(target.token)
        said = self._says.get(target.token, "unknown")
        if said != "yes":
            raise EnrolmentFailed(REFUSALS[said], said)
        return YES


YES: Enrolled = object()  # type: ignore[assignment]  # nobody looks into it


def sent(*secrets: str) -> tuple[SentToken, ...]:
    """The newest first."""
    return tuple(map(SentToken, secrets))


def target(token: str) -> Target:
    return Target(url="http://control", token=token)


CASES = [
    # The environment is the only one there is.
    ("T0", (), {"T0": "yes"}, ["T0"]),
    # The environment is older than the last rotation, and the old token is valid or retired.
    ("T0", ("T1",), {"T0": "yes", "T1": "yes"}, ["T1"]),
    ("T0", ("T1",), {"T0": "revoked", "T1": "yes"}, ["T1"]),
    # The environment is several rotations older.
    ("T0", ("T3", "T2", "T1"), {"T3": "yes"}, ["T3"]),
    # The environment has been brought up to date.
    ("T1", ("T1",), {"T0": "revoked", "T1": "yes"}, ["T1"]),
    # It is in the middle of what was sent.
    ("T1", ("T2", "T1"), {"T2": "yes", "T1": "yes"}, ["T2"]),
    # What was sent was revoked alone, or control was restored from a backup of before.
    ("T0", ("T1",), {"T0": "yes", "T1": "revoked"}, ["T1", "T0"]),
    ("T0", ("T2", "T1"), {"T0": "yes"}, ["T2", "T1", "T0"]),
    ("T0", ("T2", "T1"), {"T1": "yes", "T2": "expired"}, ["T2", "T1"]),
]


@pytest.mark.parametrize(("environment", "state", "says", "tried"), CASES)
def test_which_token_is_tried(environment: str, state: tuple[str, ...], says: dict[str, str], tried: list[str]) -> None:
    control = Control(**says)
    tokens = Tokens(environment, sent(*state))
    assert asyncio.run(enrol_with(tokens, target(environment), control.attempt)) is YES
    assert control.tried == tried


@pytest.mark.parametrize(("said", "tried"), [("away", 1), ("late", 1), ("unknown", 2), ("revoked", 2), ("expired", 2)])
def test_another_token_is_tried_only_where_it_is_the_token_that_is_refused(said: str, tried: int) -> None:
    control = Control(T1=said, T0=said)
    with pytest.raises(EnrolmentFailed) as error:
        asyncio.run(enrol_with(Tokens("T0", sent("T1")), target("T0"), control.attempt))
    assert error.value.failure is REFUSALS[said]
    assert len(control.tried) == tried


@pytest.mark.parametrize(("said", "then"), [("revoked", ["T0"]), ("unknown", ["T1", "T0"]), ("expired", ["T0"])])
def test_no_refusal_costs_a_token_but_what_control_proves_to_refuse_is_tried_last(said: str, then: list[str]) -> None:
    """Whoever stands between can say that a token is unknown: that must not even change the order."""
    tokens = Tokens("T0", sent("T1"))
    control = Control(T0="yes", T1=said)
    asyncio.run(enrol_with(tokens, target("T0"), control.attempt))
    control.tried.clear()
    asyncio.run(enrol_with(tokens, target("T0"), control.attempt))
    assert (tokens.sent, control.tried) == (sent("T1"), then)
    assert tokens.newest == token_fingerprint(then[0])


def test_what_is_sent_again_is_tried_first_again() -> None:
    tokens = Tokens("T0", sent("T1"))
    control = Control(T0="yes", T1="revoked")
    asyncio.run(enrol_with(tokens, target("T0"), control.attempt))
    tokens.take("T1")
    assert tokens.all == ("T1", "T0")


def test_all_are_tried_even_where_all_were_refused() -> None:
    tokens = Tokens("T0", sent("T2", "T1"))
    control = Control(T0="revoked", T1="revoked", T2="revoked")
    for _ in range(2):
        with pytest.raises(EnrolmentFailed):
            asyncio.run(enrol_with(tokens, target("T0"), control.attempt))
    assert sorted(control.tried) == ["T0", "T0", "T1", "T1", "T2", "T2"]


def test_what_is_sent_counts_at_once_and_is_held_when_the_disk_has_it() -> None:
    taken: list[bool] = []
    tokens = Tokens("T0", taken=lambda: taken.append(True))
    tokens.take("T1")
    assert (tokens.all, tokens.newest) == (("T1", "T0"), token_fingerprint("T1"))
    assert (tokens.stored, tokens.unsaved, len(taken)) == ("", True, 1)
    assert tokens.kept(tokens.sent)
    assert (tokens.stored, tokens.unsaved) == (token_fingerprint("T1"), False)
    assert not tokens.kept(tokens.sent)


def test_what_an_earlier_save_has_is_not_what_came_meanwhile() -> None:
    tokens = Tokens("T0")
    tokens.take("T1")
    earlier = tokens.sent
    tokens.take("T2")
    tokens.kept(earlier)
    assert (tokens.stored, tokens.unsaved) == (token_fingerprint("T1"), True)


def test_a_token_that_is_sent_again_counts_once() -> None:
    tokens = Tokens("T0")
    for secret in ("T1", "T2", "T1"):
        tokens.take(secret)
    assert tokens.all == ("T1", "T2", "T0")


def test_old_ones_are_forgotten_in_the_end() -> None:
    tokens = Tokens("T0")
    for number in range(1, 20):
        tokens.take(f"T{number}")
    assert tokens.all == ("T19", "T18", "T17", "T16", "T0")
    assert len(tokens.sent) == MOST_KEPT


def test_who_waits_hears_of_each_that_is_stored() -> None:
    async def play() -> None:
        tokens = Tokens("T0")
        waiting = asyncio.ensure_future(tokens.stored_other_than(""))
        tokens.take("T1")
        await asyncio.sleep(0)
        assert not waiting.done()
        tokens.kept(tokens.sent)
        assert await waiting == token_fingerprint("T1")
        assert await tokens.stored_other_than("") == token_fingerprint("T1")

    asyncio.run(asyncio.wait_for(play(), 5))


def test_without_a_token_there_is_no_name() -> None:
    assert (Tokens().environment, Tokens().newest, Tokens().all) == ("", "", ())


@pytest.mark.parametrize("token", ["T0", "T1", "T2"])
def test_the_state_opens_by_every_token_that_is_known(token: str) -> None:
    tokens = Tokens("T0", sent("T2", "T1"))
    saved = Saved(revision=1, resources=(), tokens=tokens.sent)
    data = seal(saved, tokens.all, os.urandom)
    assert unseal(data, token).tokens == tokens.sent
    with pytest.raises(StateUnreadable, match="another token"):
        unseal(data, "T3")


def test_no_token_shows() -> None:
    tokens = Tokens("environment-secret", sent("sent-secret"))
    shown = repr(tokens.sent) + repr(Saved(revision=1, resources=(), tokens=tokens.sent)) + repr(tokens)
    assert "secret" not in shown.replace("secret=", "")


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


def test_over_the_wire(control: FakeControl, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    newest, revoked = control.send_token(), control.send_token()
    control.revoked_tokens.add(revoked)
    tokens = Tokens(control.token, sent(revoked, "never-heard-of", newest))
    attempt = partial(enrol, instance=INSTANCE, clock=time.time, random=os.urandom)
    enrolled = asyncio.run(enrol_with(tokens, Target(url=control.url, token=control.token), attempt))
    assert enrolled.credentials.token == token_fingerprint(newest)
    assert tokens.sent == sent(revoked, "never-heard-of", newest)
    for secret in (control.token, newest, revoked, "never-heard-of"):
        assert secret not in caplog.text
        assert secret not in str(control.enrolments)


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_a_stranger_in_the_path_costs_no_token(control: FakeControl, status: int) -> None:
    """As long as it is there, nothing works; when it has gone, all is as before."""
    newest = control.send_token()
    control.revoked_tokens.add(control.token)
    tokens = Tokens(control.token, sent(newest))
    attempt = partial(enrol, instance=INSTANCE, clock=time.time, random=os.urandom)
    for code in ("revoked_token", "expired_token", "unknown_token"):
        body = b'{"error":"%s"}' % code.encode()
        head = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        with canned(head + body) as url, pytest.raises(EnrolmentFailed):
            asyncio.run(enrol_with(tokens, Target(url=url, token=control.token), attempt))
    asyncio.run(enrol_with(tokens, Target(url=control.url, token=control.token), attempt))
    assert tokens.all == (newest, control.token)


def test_a_new_token_is_acknowledged_when_it_is_stored_and_named_in_each_hello(control: FakeControl) -> None:
    async def story(outpost: Outpost) -> None:
        tokens = outpost.context.tokens = Tokens(control.token)
        await until(lambda: control.connections)
        secret = control.send_token()
        await until(lambda: tokens.sent)
        control.hold(options())
        await until(lambda: control.applied)
        # An answer to what came later, and none to the token: the disk does not have it.
        assert control.tokens_held == []
        tokens.kept(tokens.sent)
        await until(lambda: control.tokens_held)
        assert control.tokens_held == [token_fingerprint(secret)]
        control.stop_link()
        control.start_link()
        await until(lambda: len(control.hellos) > 1)

    play(request_of(control), story)
    own = token_fingerprint(control.token)
    assert [each.environment_token for each in control.hellos] == [own, own]
    assert [each.held_token for each in control.hellos] == ["", control.tokens_held[0]]
    assert len(control.tokens_held) == 1


def test_an_empty_token_breaks_the_protocol(control: FakeControl) -> None:
    async def story(outpost: Outpost) -> None:
        await until(lambda: control.connections)
        command = link_pb2.Command(new_token=link_pb2.NewToken())
        control.tell(link_pb2.WatchResponse(command=command))
        await until(lambda: "the new token is empty" in outpost.watcher.status.last_error)
        await until(lambda: len(control.hellos) > 1)
        assert outpost.context.tokens.sent == ()

    play(request_of(control), story)
