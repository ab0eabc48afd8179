"""The link's certificate authority."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, VerificationError
from cryptography.x509.verification import Store as TrustStore

from control.domain.errors import Invalid
from control.domain.security import Authority
from control.fleet.authority import (
    CLIENT_LIFE,
    OVERLAP,
    SERVER_NAME,
    Client,
    authorities_status,
    drop_retired,
    ensure_authority,
    find_client,
    find_server_signer,
    issue_client,
    issue_server,
    next_turn,
    not_after,
    rotate_authority,
    trust_bundle,
    trusted,
)
from control.store import Store
from tests.support.stores import ADMIN, Clock


def test_the_authority_is_made_once_and_lasts_ten_years(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        authority = ensure_authority(unit)
        assert ensure_authority(unit) == authority
    assert not_after(authority.certificate) == clock.now + timedelta(days=3650)
    certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
    certificate.verify_directly_issued_by(certificate)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert "PRIVATE" not in repr(authority)


def test_the_next_authority_comes_a_year_before_the_end_by_itself(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        first = ensure_authority(unit)
    clock.advance(days=3650 - 300)
    with store.write(ADMIN) as unit:
        second = ensure_authority(unit)
        assert ensure_authority(unit) == second
        assert [each.id for each in unit.authorities.all()] == [first.id, second.id]
        assert trust_bundle(unit.authorities.all(), unit.now) == first.certificate + second.certificate


def rotated(store: Store) -> Authority:
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
        return rotate_authority(unit)


def bundle(store: Store) -> int:
    """How many authorities are trusted now."""
    with store.read() as unit:
        return trust_bundle(unit.authorities.all(), unit.now).count("BEGIN CERTIFICATE")


def test_a_rotated_authority_is_trusted_for_three_days_and_then_forgotten(store: Store, clock: Clock) -> None:
    new = rotated(store)
    assert timedelta(days=3) == OVERLAP
    clock.advance(days=3, microseconds=-1)
    with store.write(ADMIN) as unit:
        drop_retired(unit)
    assert bundle(store) == 2
    clock.advance(microseconds=1)
    assert bundle(store) == 1
    with store.write(ADMIN) as unit:
        drop_retired(unit)
    with store.read() as unit:
        assert unit.authorities.all() == [new]
        assert unit.audit.latest(1)[0].action == "removed"
        assert unit.audit.latest(1)[0].kind == "authority"


def test_an_authority_that_ended_is_forgotten_too(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
    clock.advance(days=3650)
    with store.write(ADMIN) as unit:
        drop_retired(unit)
        assert unit.authorities.all() == []
        assert trust_bundle([ensure_authority(unit)], unit.now)


def test_clients_get_certificates_of_the_new_authority_at_once(store: Store) -> None:
    new = rotated(store)
    with store.write(ADMIN) as unit:
        assert ensure_authority(unit) == new


def test_the_link_shows_a_certificate_of_the_old_authority_until_all_know_the_new(store: Store) -> None:
    new = rotated(store)
    with store.read() as unit:
        known = unit.authorities.all()
    begun = new.created
    signers = [find_server_signer(known, begun + timedelta(hours=hours)) for hours in (0, 24, 25, 71, 72)]
    assert [each == new for each in signers] == [False, False, True, True, True]
    assert find_server_signer([], begun) is None


def test_nobody_who_can_still_connect_is_shown_a_certificate_he_does_not_know(store: Store, clock: Clock) -> None:
    """Whatever the rotations: the signer is in the bundle of everyone whose certificate has not ended."""
    bundles: list[tuple[datetime, set[UUID]]] = []
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
    for hour in range(0, 200, 5):
        with store.write(ADMIN) as unit:
            drop_retired(unit)
            if hour in (20, 25, 30, 55, 110):
                rotate_authority(unit)
            known = unit.authorities.all()
            bundles.append((unit.now, {each.id for each in trusted(known, unit.now)}))
            signer = find_server_signer(known, unit.now)
        assert signer is not None
        alive = [given for at, given in bundles if clock.now - at <= CLIENT_LIFE]
        assert all(signer.id in given for given in alive), hour
        clock.advance(hours=5)


def test_authorities_are_shown_with_their_fingerprints(store: Store, clock: Clock) -> None:
    begun = clock.now
    new = rotated(store)
    clock.advance(hours=1)
    with store.read() as unit:
        old_view, new_view = authorities_status(unit)
    assert (old_view.signs, new_view.signs) == (False, True)
    assert (old_view.trusted_until, new_view.trusted_until) == (begun + OVERLAP, not_after(new.certificate))
    der = x509.load_pem_x509_certificate(new.certificate.encode()).public_bytes(Encoding.DER)
    assert new_view.fingerprint == sha256(der).hexdigest()


def test_rotations_in_a_row_leave_each_its_own_time(store: Store, clock: Clock) -> None:
    begun = clock.now
    rotated(store)
    clock.advance(hours=1)
    with store.write(ADMIN) as unit:
        third = rotate_authority(unit)
        views = authorities_status(unit)
    assert [view.trusted_until - begun for view in views[:2]] == [OVERLAP, OVERLAP + timedelta(hours=1)]
    assert views[-1].authority == third


def test_rotations_without_end_are_refused(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
        for _ in range(4):
            rotate_authority(unit)
        with pytest.raises(Invalid) as error:
            rotate_authority(unit)
    (problem,) = error.value.problems
    assert (problem.code, problem.found) == ("too_many", "5")
    assert f"{clock.now + OVERLAP:%Y-%m-%d %H:%M} UTC" in problem.expected


def test_the_newest_is_the_newest_whatever_the_clock_says(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
    clock.advance(minutes=-5)
    new = rotated(store)
    with store.read() as unit:
        assert unit.authorities.all()[-1] == new


def test_two_who_find_the_authority_near_its_end_make_one_successor(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        ensure_authority(unit)
    clock.advance(days=3400)

    def ensure() -> UUID:
        with store.write(ADMIN) as unit:
            return ensure_authority(unit).id

    with ThreadPoolExecutor(2) as pool:
        made = {each.result() for each in [pool.submit(ensure), pool.submit(ensure)]}
    assert len(made) == 1
    assert bundle(store) == 2


def test_a_rotation_is_audited(store: Store) -> None:
    new = rotated(store)
    with store.read() as unit:
        events = [(event.actor, event.action, event.kind, event.target) for event in unit.audit.all()]
        assert "PRIVATE" not in repr(unit.audit.all())
    assert ("akadmin", "rotated", "authority", str(new.id)) in events
    assert [action for _, action, _, _ in events].count("rotated") == 1


def test_when_time_changes_something(store: Store, clock: Clock) -> None:
    begun = clock.now
    rotated(store)
    with store.read() as unit:
        known = unit.authorities.all()
    hours = []
    turn = next_turn(known, begun)
    while turn is not None and turn < begun + timedelta(days=30):
        hours.append((turn - begun) / timedelta(hours=1))
        turn = next_turn(known, turn)
    assert hours == [pytest.approx(25), pytest.approx(25), pytest.approx(72)]


def test_the_server_certificate_carries_one_name(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        authority = ensure_authority(unit)
    identity = issue_server(authority, clock.now)
    leaf = x509.load_pem_x509_certificate(identity.certificate.encode())
    trusted = TrustStore(x509.load_pem_x509_certificates(authority.certificate.encode()))
    verifier = PolicyBuilder().store(trusted).time(clock.now).build_server_verifier(x509.DNSName(SERVER_NAME))
    assert verifier.verify(leaf, [])
    other = PolicyBuilder().store(trusted).time(clock.now).build_server_verifier(x509.DNSName("control.example.com"))
    with pytest.raises(VerificationError):
        other.verify(leaf, [])
    assert "PRIVATE" not in repr(identity)


def test_a_client_certificate_is_good_for_a_client_only(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        authority = ensure_authority(unit)
    client = Client(outpost=uuid4(), instance="edge-1", token=uuid4())
    pem = issue_client(authority, ec.generate_private_key(ec.SECP256R1()).public_key(), client, clock.now)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    trusted = TrustStore(x509.load_pem_x509_certificates(authority.certificate.encode()))
    found = PolicyBuilder().store(trusted).time(clock.now).build_client_verifier().verify(leaf, [])
    assert found.subjects == [x509.UniformResourceIdentifier(client.uri)]
    with pytest.raises(VerificationError):
        PolicyBuilder().store(trusted).time(clock.now).build_server_verifier(x509.DNSName(SERVER_NAME)).verify(leaf, [])


def test_a_clients_name_is_read_back() -> None:
    client = Client(outpost=uuid4(), instance="edge-1.example", token=uuid4())
    assert find_client(client.uri) == client
    assert find_client(client.uri + "/more") is None
    assert find_client("garrison://outpost/") is None
