"""The link's certificate authority."""

from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, VerificationError
from cryptography.x509.verification import Store as TrustStore

from control.fleet.authority import (
    SERVER_NAME,
    Client,
    ensure_authority,
    find_client,
    issue_client,
    issue_server,
    not_after,
    trust_bundle,
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


def test_the_next_authority_comes_a_year_before_the_end_and_both_are_trusted(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        first = ensure_authority(unit)
    clock.advance(days=3650 - 300)
    with store.write(ADMIN) as unit:
        second = ensure_authority(unit)
        assert unit.authorities.all() == [first, second]
        assert trust_bundle(unit.authorities.all(), unit.now).count("BEGIN CERTIFICATE") == 2
    clock.advance(days=301)
    with store.read() as unit:
        assert trust_bundle(unit.authorities.all(), unit.now) == second.certificate


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
