"""Whoever has a token can enrol without end; the audit trail is told of it all the same, and stays small."""

from datetime import timedelta
from uuid import uuid4

import pytest

from control.fleet import enrolment_trail
from control.fleet.enrolment import enrol
from control.fleet.enrolment_trail import MOST_TOLD, WINDOW, Trail
from control.store import Store
from tests.support.fleet import deploy
from tests.support.links import Applicant
from tests.support.stores import Clock


def test_so_many_an_hour_have_a_line_and_the_next_says_how_many_more_there_were() -> None:
    clock, trail, token = Clock(), Trail(), uuid4()
    told = [trail.find_untold(token, clock.now) for _ in range(MOST_TOLD + 7)]
    assert told == [0] * MOST_TOLD + [None] * 7
    assert trail.find_untold(uuid4(), clock.now) == 0
    clock.now += WINDOW
    assert [trail.find_untold(token, clock.now) for _ in range(2)] == [7, 0]


def test_a_clock_that_goes_back_begins_another_hour() -> None:
    clock, trail, token = Clock(), Trail(), uuid4()
    for _ in range(MOST_TOLD):
        trail.find_untold(token, clock.now)
    assert trail.find_untold(token, clock.now - timedelta(seconds=1)) == 0


def test_the_audit_trail_says_so(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment_trail, "MOST_TOLD", 2)
    trail, secret = Trail(), deploy(store).token.secret

    def visit() -> int:
        message = Applicant(secret, clock=clock.now.timestamp()).message()
        return enrol(store, message, (":9444",), trail=trail).status

    assert [visit() for _ in range(5)] == [200] * 5
    clock.now += WINDOW
    assert visit() == 200
    with store.read() as unit:
        lines = [event for event in unit.audit.latest(100) if event.action == "enrolled"]
    assert [line.fields for line in lines] == [("3 more before it",), (), ()]
