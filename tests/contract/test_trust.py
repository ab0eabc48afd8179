"""Trust between control and the real outpost: tokens that rotate, retire, leak and are revoked.

What users see is asked of the outpost the whole time.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest

from control.auth.gatekeeper import SessionClaim
from control.domain.outpost import InstanceState
from control.fleet.enrolment import Answer, enrol
from control.fleet.outposts import remove_outpost
from control.fleet.rotation import token_status
from control.fleet.tokens import replace_token, revoke_token
from control.store import Store, Unit
from control.web.enrol import views
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control, issued_session
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes
from tests.support.trust import GenerousGatekeeper, asked, busy, is_used, losses, retire, rotate, sign_in, stop


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def state(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Control:
    return Control(store, clock, wakes, tmp_path, GenerousGatekeeper())


@pytest.fixture
def control(state: Control) -> Iterator[RealControl]:
    with RealControl(state).running() as control:
        yield control


@pytest.fixture
def deployed(control: RealControl) -> Deployed:
    return deploy(control.store)


@pytest.fixture
def outpost(control: RealControl, deployed: Deployed, tmp_path: Path) -> Iterator[OutpostProcess]:
    """Connected."""
    with OutpostProcess(tmp_path, control.environment(deployed)) as process:
        process.ready()
        control.instance(deployed, state=InstanceState.CONNECTED)
        yield process


# Tokens.


def test_a_rotation_cuts_nobody_and_no_user_sees_any_of_it(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    with busy(outpost) as user:
        token = rotate(control, deployed)
        control.instance(deployed, held_token=token.fingerprint, environment_token=deployed.token.fingerprint)
        eventually(lambda: is_used(control, token), "its certificate is renewed")
        eventually(lambda: outpost.metrics()["garrison_outpost_link_connections_total"] == 2, "the link stands anew")
        retire(control, deployed)
        before = len(user.sign_ins)
        eventually(lambda: len(user.sign_ins) > before + 5, "people sign in afterwards")
    assert ({*user.checks}, {*user.sign_ins}, losses(outpost)) == ({200}, {(302, True)}, 0)
    control.instance(deployed, state=InstanceState.CONNECTED)


@pytest.mark.parametrize("seconds", [0.0, 1.9])
def test_a_token_that_is_retired_at_once_costs_the_link_a_moment_and_users_nothing(
    control: RealControl,
    deployed: Deployed,
    outpost: OutpostProcess,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """Enrolment that takes so long, on a slow line, leaves no second for the stream, for which nobody has to wait."""

    def slowly(*given: Any, **named: Any) -> Answer:
        time.sleep(seconds)
        return enrol(*given, **named)

    monkeypatch.setattr(views, "enrol", slowly)
    with busy(outpost) as user:
        token = rotate(control, deployed)
        control.instance(deployed, held_token=token.fingerprint)
        retire(control, deployed)
        eventually(lambda: is_used(control, token), "it enrols with the new token")
        before = len(user.sign_ins)
        eventually(lambda: len(user.sign_ins) > before + 5, "people sign in afterwards")
        control.instance(deployed, state=InstanceState.CONNECTED)
    assert ({*user.checks}, {*user.sign_ins}) == ({200}, {(302, True)})


def test_an_environment_with_a_retired_token_comes_back_by_its_state_and_not_without(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    token = rotate(control, deployed)
    control.instance(deployed, held_token=token.fingerprint)
    retire(control, deployed)
    stop(outpost)
    outpost.start()
    outpost.ready()
    assert outpost.logged("serving from the last good state")
    found = control.instance(deployed, state=InstanceState.CONNECTED, held_token=token.fingerprint)
    with control.store.read() as unit:
        assert [each.id for each in token_status(unit, deployed.outpost).holdouts] == [found.id]
    stop(outpost)
    shutil.rmtree(outpost.state)
    outpost.start()
    eventually(lambda: "has revoked this token" in outpost.get("/-/health/ready/")[1], "it says what is wrong")


def test_a_state_that_is_lost_is_no_harm_while_the_old_token_counts(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    token = rotate(control, deployed)
    first = control.instance(deployed, held_token=token.fingerprint)
    stop(outpost)
    shutil.rmtree(outpost.state)
    outpost.start()
    again = eventually(lambda: _another(control, deployed, first.id), "another instance holds the token")
    assert again == (token.fingerprint, deployed.token.fingerprint)


def _another(control: RealControl, deployed: Deployed, first: UUID) -> tuple[str, str] | None:
    with control.store.read() as unit:
        others = (each for each in unit.instances.of_outpost(deployed.outpost.id) if each.id != first)
        return next(((each.held_token, each.environment_token) for each in others if each.held_token), None)


def test_an_environment_that_is_brought_up_to_date_opens_the_state(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, tmp_path: Path
) -> None:
    token = rotate(control, deployed)
    control.instance(deployed, held_token=token.fingerprint)
    stop(outpost)
    with OutpostProcess(tmp_path, control.environment(replace(deployed, token=token))) as again:
        again.ready()
        assert again.logged("serving from the last good state")
        control.instance(deployed, state=InstanceState.CONNECTED, environment_token=token.fingerprint)
    with control.store.read() as unit:
        assert token_status(unit, deployed.outpost).holdouts == ()


def test_a_replaced_token_is_for_the_environment_alone(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, tmp_path: Path
) -> None:
    """Control hands it to nobody; the state, sealed for what leaked, is set aside and everything fetched anew."""
    rotate(control, deployed)
    with control.store.write(ADMIN) as unit:
        token = replace_token(unit, deployed.outpost)
    control.instance(deployed, state=InstanceState.DISCONNECTED)
    stop(outpost)
    assert token.fingerprint != control.instance(deployed).held_token
    with OutpostProcess(tmp_path, control.environment(replace(deployed, token=token))) as again:
        assert again.logged("the last good state is set aside")["reason"] == "it belongs to another token"
        again.ready()
        control.instance(deployed, state=InstanceState.CONNECTED, held_token="")


def test_a_token_that_the_disk_does_not_take_is_not_acknowledged_until_it_does(
    control: RealControl, deployed: Deployed, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("in the way")
    with OutpostProcess(tmp_path, control.environment(deployed)) as outpost:
        outpost.ready()
        token = rotate(control, deployed)
        told = eventually(lambda: control.instance(deployed).last_error, "control hears of the disk")
        assert "the last good state can't be saved" in told
        outpost.logged("control has sent a new token")
        assert control.instance(deployed).held_token == ""
        (tmp_path / "state").unlink()
        control.instance(deployed, held_token=token.fingerprint)


def test_no_token_is_written_in_clear(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, tmp_path: Path
) -> None:
    token = rotate(control, deployed)
    control.instance(deployed, held_token=token.fingerprint)
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".db"]
    assert {"state", "outpost.log"} <= {file.name for file in files}
    assert outpost.logged("control has sent a new token")["fingerprint"] == token.fingerprint[:12]
    for secret in (token.secret, deployed.token.secret):
        assert [file.name for file in files if secret.encode() in file.read_bytes()] == []
        assert not any(secret.encode() in Path(f"/proc/{pid}/environ").read_bytes() for pid in outpost.workers)


# Sessions.


def test_a_session_too_large_for_its_cookie_is_asked_for_with_the_proof_that_control_made_it(
    state: Control, outpost: OutpostProcess
) -> None:
    session = issued_session()
    many = replace(session.identity, groups=tuple(token_hex(32) for _ in range(500)))
    state.gatekeeper.answer = replace(
        session, identity=many, expires=session.expires + timedelta(hours=1), proof="pr00f"
    )
    _, cookies = sign_in(outpost)
    assert asked(outpost, "auth/nginx", cookies).status == 200
    (claim,) = [asked[0] for asked in state.gatekeeper.asked if isinstance(asked[0], SessionClaim)]
    assert (claim.session, claim.subject, claim.proof) == (session.id, session.identity.subject, "pr00f")
    assert (claim.authenticated, claim.expires) == (session.authenticated, session.expires + timedelta(hours=1))


# Revocation.


def revoke(unit: Unit, deployed: Deployed) -> None:
    revoke_token(unit, unit.tokens.get(deployed.token.id))


def expire(unit: Unit, deployed: Deployed) -> None:
    unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=unit.now))


def test_a_revoked_outpost_is_cut_at_once_and_serves_who_is_signed_in(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    """Control can't make a machine stop; an honest outpost goes on as it does when control is away."""
    _, cookies = sign_in(outpost)
    with control.store.write(ADMIN) as unit:
        revoke(unit, deployed)
    begun = time.monotonic()
    control.instance(deployed, state=InstanceState.DISCONNECTED)
    assert time.monotonic() - begun < 20
    for _ in range(2):
        eventually(lambda: "has revoked this token" in str(outpost.log), "it is told why")
        assert asked(outpost, "auth/nginx", cookies).status == 200
        assert sign_in(outpost)[0] == 503
        assert asked(outpost, "auth/nginx").status == 401
        stop(outpost)
        outpost.start()
        outpost.ready()


def test_a_revoked_outpost_hears_of_nothing_any_more(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    with control.store.write(ADMIN) as unit:
        revoke(unit, deployed)
        provider = unit.proxy_providers.get(deployed.sites[0].provider.id)
        unit.proxy_providers.update(replace(provider, external_host="https://moved.example.com"))
    control.instance(deployed, state=InstanceState.DISCONNECTED)
    eventually(lambda: "has revoked this token" in str(outpost.log), "it is told why")
    assert asked(outpost, "auth/nginx").status == 401
    assert asked(outpost, "auth/nginx", host="moved.example.com").status == 404


@pytest.mark.parametrize("why", ["expired", "removed"])
def test_an_outpost_whose_token_ran_out_or_which_was_removed_is_cut_as_well(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, why: str
) -> None:
    words = {"expired": "this token has expired", "removed": "does not know this token"}[why]
    with control.store.write(ADMIN) as unit:
        if why == "expired":
            expire(unit, deployed)
        else:
            remove_outpost(unit, unit.outposts.get(deployed.outpost.id))
    begun = time.monotonic()
    eventually(lambda: losses(outpost) == 1, "the link is lost")
    assert time.monotonic() - begun < 20
    eventually(lambda: words in str(outpost.log), "it is told why")
    assert asked(outpost, "auth/nginx").status == 401


def test_a_token_ends_at_its_moment(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> None:
    with control.store.write(ADMIN) as unit:
        ends = unit.now + timedelta(minutes=5)
        unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=ends))
    clock = control.control.clock
    clock.advance(minutes=5, microseconds=-1)
    eventually(lambda: sign_in(outpost)[0] == 302, "people sign in until then")
    assert losses(outpost) == 0
    clock.advance(microseconds=1)
    assert sign_in(outpost)[0] == 503
    eventually(lambda: losses(outpost) == 1, "the link is lost")
