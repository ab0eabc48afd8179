"""The link's authorities change while real outposts are connected, or away for longer than any of them lasts."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from control.domain.outpost import InstanceState
from control.fleet.authority import drop_retired, ensure_authority, key_identifier, rotate_authority
from control.store import Store
from dataplane.link.enrol import enrol
from dataplane.link.state import Saved, StateFolder
from dataplane.link.target import Instance, Target
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import free_port
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes
from tests.support.trust import leave, losses, rotate, stop


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def state(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Control:
    return Control(store, clock, wakes, tmp_path)


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
            outpost.ready()
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
