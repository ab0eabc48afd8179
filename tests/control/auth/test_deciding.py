"""One answer for every protocol, and the same whatever was wrong."""

from control.auth.deciding import Attempt, Decider, PasswordGiven
from control.auth.sessions import Origin
from control.domain.decision import Admitted, Channel, Refused, RefusedReason
from tests.support.auth import EDGE, PASSWORD, World


def attempt(world: World, username: str, password: str, channel: Channel = Channel.HTTP) -> Attempt:
    return Attempt(
        channel=channel,
        given=PasswordGiven(username=username, password=password),
        origin=Origin(address="198.51.100.7"),
        application=world.wiki_application.id,
        dialogue=False,
        actor=EDGE,
    )


def test_in(world: World) -> None:
    decider = Decider(world.store, world.passwords, world.issuer)
    answer = decider.decide(attempt(world, "alice", PASSWORD))
    assert isinstance(answer, Admitted), answer
    assert decider.decide(attempt(world, "bob", PASSWORD)) == Refused(reason=RefusedReason.ACCESS_DENIED)
    for _ in range(5):
        assert decider.decide(attempt(world, "bob", "x")) == Refused(reason=RefusedReason.INVALID_CREDENTIALS)
    assert decider.decide(attempt(world, "bob", "x")).reason == RefusedReason.LOCKED_OUT
