"""Trust between control and the real outpost: tokens that rotate and retire, authorities that change, and revocation.

What users see is asked of the outpost the whole time.
"""

import asyncio
import http.client
import json
import os
import shutil
import signal
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from cryptography import x509

from control.auth.gatekeeper import Redemption, SessionClaim
from control.domain.grant import IssuedSession, Refusal
from control.domain.outpost import InstanceState, Token
from control.fleet.authority import drop_retired, ensure_authority, key_identifier, rotate_authority
from control.fleet.outposts import remove_outpost
from control.fleet.rotation import retire_tokens, rotate_token, token_status
from control.fleet.tokens import replace_token, revoke_token
from control.store import Actor, Store, Unit
from dataplane.link.enrol import enrol
from dataplane.link.state import Saved, StateFolder
from dataplane.link.target import Instance, Target
from tests.support.fake_control import eventually, free_port
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control, FakeGatekeeper, issued_session
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes

HOST = "wiki.example.com"


class GenerousGatekeeper(FakeGatekeeper):
    """Gives a session for every code, which is the nonce that the ID token has to have."""

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        prepared = super().redeem_code(caller, redemption)
        ends = datetime.now(UTC) + timedelta(hours=1)
        session = prepared if isinstance(prepared, IssuedSession) else replace(issued_session(), expires=ends)
        claims = urlsafe_b64encode(json.dumps({"nonce": redemption.code}).encode()).rstrip(b"=").decode()
        return replace(session, id_token=f"e30.{claims}.c2ln")


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


def asked(outpost: OutpostProcess, path: str, cookies: str = "", host: str = HOST) -> http.client.HTTPResponse:
    """What the outpost answers a browser, or nginx that asks for one."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=20)
    with closing(connection):
        headers = {"Host": host, "X-Forwarded-Proto": "https", "X-Original-URL": f"https://{host}/", "Cookie": cookies}
        connection.request("GET", f"/outpost.goauthentik.io/{path}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer


def cookies_of(answer: http.client.HTTPResponse) -> str:
    """The cookies that an answer sets, as a browser would send them."""
    pairs = (each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie") or ())
    return "; ".join(pair for pair in pairs if not pair.endswith("="))


def sign_in(outpost: OutpostProcess) -> tuple[int, str]:
    """A person comes back from control with a code: the status of the answer, and the session's cookie if any."""
    begun = asked(outpost, "start")
    query = parse_qs(urlsplit(begun.headers["Location"]).query)
    back = f"callback?X-authentik-auth-callback=true&code={query['nonce'][0]}&state={query['state'][0]}"
    answer = asked(outpost, back, cookies_of(begun))
    return answer.status, cookies_of(answer)


@dataclass
class User:
    """Somebody who goes on working, and now and then somebody else who signs in; what they are answered."""

    outpost: OutpostProcess
    cookies: str
    checks: list[int] = field(default_factory=list)
    sign_ins: list[tuple[int, bool]] = field(default_factory=list)

    def work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.checks.append(asked(self.outpost, "auth/nginx", self.cookies).status)

    def arrive(self, stop: threading.Event) -> None:
        while not stop.is_set():
            status, session = sign_in(self.outpost)
            self.sign_ins.append((status, bool(session)))


@contextmanager
def busy(outpost: OutpostProcess) -> Iterator[User]:
    """Users at work while the block runs."""
    _, cookies = sign_in(outpost)
    assert asked(outpost, "auth/nginx", cookies).status == 200
    user, stop = User(outpost, cookies), threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in (user.work, user.arrive)]
    for thread in threads:
        thread.start()
    try:
        yield user
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def rotate(control: RealControl, deployed: Deployed) -> Token:
    with control.store.write(ADMIN) as unit:
        return rotate_token(unit, deployed.outpost)


def retire(control: RealControl, deployed: Deployed) -> None:
    with control.store.write(ADMIN) as unit:
        retire_tokens(unit, deployed.outpost)


def is_used(control: RealControl, token: Token) -> bool:
    """Whether an instance has enrolled with the token."""
    with control.store.read() as unit:
        return unit.tokens.get(token.id).last_used is not None


def losses(outpost: OutpostProcess) -> float:
    return outpost.metrics()["garrison_outpost_link_losses_total"]


def stop(outpost: OutpostProcess) -> None:
    outpost.signal(signal.SIGTERM)
    assert outpost.wait() == 0


def leave(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> None:
    """Stop the outpost, and have control notice."""
    stop(outpost)
    control.instance(deployed, state=InstanceState.DISCONNECTED)


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
    assert control.instance(deployed).state is InstanceState.CONNECTED


def test_a_token_that_is_retired_at_once_costs_the_link_a_moment_and_users_nothing(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
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
        assert token_status(unit, deployed.outpost).holdouts == (found,)
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


def test_a_revoked_outpost_is_cut_within_a_second_and_serves_who_is_signed_in(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    """Control can't make a machine stop; an honest outpost goes on as it does when control is away."""
    _, cookies = sign_in(outpost)
    with control.store.write(ADMIN) as unit:
        revoke(unit, deployed)
    begun = time.monotonic()
    control.instance(deployed, state=InstanceState.DISCONNECTED)
    assert time.monotonic() - begun < 1
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
        provider = unit.providers.get(deployed.sites[0].provider.id)
        unit.providers.update(replace(provider, external_host="https://moved.example.com"))
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
    assert time.monotonic() - begun < 1
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


# Authorities.


def issuers(outpost: OutpostProcess, deployed: Deployed) -> tuple[bytes, int]:
    """The key that signed the outpost's certificate, and how many authorities it trusts, as they lie in its state."""
    folder = StateFolder(outpost.state, os.urandom)
    saved = folder.load(deployed.token.secret)
    folder.close()
    assert saved is not None
    assert saved.credentials is not None
    leaf = x509.load_pem_x509_certificate(saved.credentials.certificate.encode())
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return issuer or b"", saved.credentials.authority.count("BEGIN CERTIFICATE")


def test_a_rotated_authority_cuts_nobody_not_even_who_has_not_heard_of_it(
    state: Control, store: Store, tmp_path: Path
) -> None:
    """Control starts anew after the rotation, and can't be enrolled with: the old certificate and bundle have to do."""
    state.port = free_port()
    deployed = deploy(store)
    with RealControl(state).running() as control:
        environment = control.environment(deployed)
        with OutpostProcess(tmp_path, environment) as outpost:
            control.instance(deployed, state=InstanceState.CONNECTED)
            with store.write(ADMIN) as unit:
                old, _ = unit.authorities.all()[0], rotate_authority(unit)
            stop(outpost)
    with RealControl(state).running() as control, OutpostProcess(tmp_path, environment) as outpost:
        control.instance(deployed, state=InstanceState.CONNECTED)
        eventually(lambda: outpost.metrics()["garrison_outpost_link_connections_total"] == 1, "the link stands")
        stop(outpost)
        assert issuers(outpost, deployed) == (key_identifier(old.certificate), 1)


@pytest.mark.parametrize("hours", [25, 72])
def test_nobody_notices_when_the_link_changes_over_and_the_old_authority_retires(
    state: Control, store: Store, tmp_path: Path, hours: int
) -> None:
    """The outpost is connected at the turn, and makes a new connection afterwards."""
    clock = state.clock
    clock.advance(hours=-hours - 1)
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
    clock.advance(hours=1)
    deployed = deploy(store)
    with store.write(ADMIN) as unit:
        new = rotate_authority(unit)
    clock.advance(hours=hours, seconds=-1)
    with RealControl(state).running() as control, OutpostProcess(tmp_path, control.environment(deployed)) as outpost:
        outpost.ready()
        control.instance(deployed, state=InstanceState.CONNECTED)
        before = shown_by(control)
        clock.advance(seconds=2)
        eventually(lambda: (shown_by(control) != before) == (hours == 25), "the link has changed over")
        rotate(control, deployed)
        eventually(lambda: outpost.metrics()["garrison_outpost_link_connections_total"] == 2, "the link stands anew")
        assert (losses(outpost), shown_by(control)) == (0, key_identifier(new.certificate))
        stop(outpost)
        assert issuers(outpost, deployed) == (key_identifier(new.certificate), 2 if hours == 25 else 1)


def shown_by(control: RealControl) -> bytes:
    """The key that signed the certificate the link shows."""
    leaf = x509.load_pem_x509_certificate(control.link.credentials.identity.certificate.encode())
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return issuer or b""


def enrolled_then(control: RealControl, deployed: Deployed, folder: Path) -> None:
    """What a state folder has that was left at the time that it is for control: an outpost goes away."""
    kept = StateFolder(folder, os.urandom)
    who = Instance(uid=kept.instance, type="proxy", hostname="edge-1", version="0.1.0", build="", started=0.0)
    target = Target(url=control.url, token=deployed.token.secret)
    now = control.control.clock.now.timestamp()
    enrolled = asyncio.run(enrol(target, who, lambda: now, os.urandom))
    kept.save(Saved(revision=0, resources=(), credentials=enrolled.credentials), (deployed.token.secret,))
    kept.close()


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_an_outpost_that_was_away_for_a_week_is_back_by_its_token(
    state: Control, store: Store, tmp_path: Path, rotations: int
) -> None:
    """Its certificate has ended, and of the authorities that it knows none may be left."""
    clock = state.clock
    clock.advance(days=-7)
    deployed = deploy(store)
    with RealControl(state).running() as control:
        enrolled_then(control, deployed, tmp_path / "state")
        for _ in range(rotations):
            clock.advance(days=1)
            with store.write(ADMIN) as unit:
                rotate_authority(unit)
        clock.advance(days=7 - rotations)
        with store.write(ADMIN) as unit:
            drop_retired(unit)
            assert len(unit.authorities.all()) == 1
            signs = ensure_authority(unit)
        with OutpostProcess(tmp_path, control.environment(deployed)) as outpost:
            outpost.ready()
            eventually(lambda: outpost.metrics()["garrison_outpost_link_connections_total"] == 1, "the link stands")
            stop(outpost)
        assert issuers(outpost, deployed) == (key_identifier(signs.certificate), 1)


def test_an_outpost_that_trusts_none_of_our_authorities_any_more_is_back_by_its_token(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    """Its certificate is good by its own clock, but both ends have moved on: as after a database was restored."""
    leave(control, deployed, outpost)
    with control.store.write(ADMIN) as unit:
        for authority in unit.authorities.all():
            unit.authorities.remove(authority)
        signs = ensure_authority(unit)
    outpost.start()
    eventually(lambda: outpost.metrics().get("garrison_outpost_link_connections_total") == 1, "the link stands")
    stop(outpost)
    assert issuers(outpost, deployed) == (key_identifier(signs.certificate), 1)
