"""Enrolment against a real database: who gets a certificate, and what everyone else is told."""

import hmac
import json
import logging
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control.fleet.enrolment import Answer, Message, enrol
from control.fleet.rotation import retire_tokens, rotate_token
from control.fleet.tokens import replace_token, revoke_token
from control.store import Store
from tests.support.fleet import Deployed, deploy
from tests.support.links import Applicant
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def deployed(store: Store) -> Deployed:
    return deploy(store)


@pytest.fixture
def applicant(deployed: Deployed, clock: Clock) -> Applicant:
    return Applicant(deployed.token.secret, uid="edge-1", clock=clock.now.timestamp())


def proven(answer: Answer, applicant: Applicant) -> bool:
    """Whether the answer proves that its sender knows the token, computed the way the contract says."""
    key = HKDF(SHA256(), 32, salt=b"garrison enrol v1", info=b"control").derive(applicant.secret.encode())
    return answer.mac == hmac.new(key, applicant.nonce + answer.body, sha256).hexdigest()


def told(answer: Answer) -> dict[str, Any]:
    """The fields of the answer."""
    fields: dict[str, Any] = json.loads(answer.body)
    return fields


def test_a_token_buys_a_certificate(store: Store, deployed: Deployed, applicant: Applicant, clock: Clock) -> None:
    answer = applicant.enrol(store)
    fields = told(answer)
    assert (answer.status, proven(answer, applicant)) == (200, True)
    assert (fields["outpost"], fields["name"], fields["type"]) == (str(deployed.outpost.id), "edge", "proxy")
    assert (fields["link"], fields["clock"]) == ([":9444"], clock.now.timestamp())
    leaf, authority = x509.load_pem_x509_certificates((fields["certificate"] + fields["ca"]).encode())
    leaf.verify_directly_issued_by(authority)
    assert leaf.public_key() == applicant.key.public_key()
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (
        clock.now - timedelta(hours=1),
        clock.now + timedelta(hours=24),
    )
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "edge-1"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"garrison://outpost/{deployed.outpost.id}/instance/edge-1/token/{deployed.token.id}"
    ]
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_the_token_is_nowhere_in_what_travels(store: Store, applicant: Applicant) -> None:
    answer = applicant.enrol(store)
    for travelled in (applicant.body(), answer.body, answer.mac.encode()):
        assert applicant.secret.encode() not in travelled


def test_what_a_signing_request_asks_for_is_not_granted(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    other = f"garrison://outpost/{deployed.outpost.id}/instance/other/token/{deployed.token.id}"
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "link.garrison.internal")]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(other)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(applicant.key, SHA256())
    )
    pem = asked.public_bytes(Encoding.PEM).decode()
    leaf = x509.load_pem_x509_certificate(told(applicant.enrol(store, csr=pem))["certificate"].encode())
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert other not in str(leaf.extensions)
    assert leaf.subject.rfc4514_string() == "CN=edge-1"


def test_an_unknown_token(store: Store, deployed: Deployed, clock: Clock) -> None:
    assert deployed
    stranger = Applicant("x" * 43, clock=clock.now.timestamp())
    answer = stranger.enrol(store)
    assert (answer.status, told(answer), answer.mac) == (401, {"error": "unknown_token"}, "")


@pytest.mark.parametrize("mac", ["", "0" * 64, "é", "\udcff", "A" * 5000])
def test_a_bad_mac(store: Store, applicant: Applicant, mac: str) -> None:
    answer = enrol(store, replace(applicant.message(), mac=mac), (":9444",))
    assert (answer.status, told(answer), answer.mac) == (401, {"error": "bad_mac"}, "")


def test_a_body_that_was_altered(store: Store, applicant: Applicant) -> None:
    message = applicant.message()
    altered = replace(message, body=message.body.replace(b"edge-1", b"edge-2"))
    assert told(enrol(store, altered, (":9444",))) == {"error": "bad_mac"}


def test_the_outposts_key_does_not_sign_for_control(store: Store, applicant: Applicant) -> None:
    """An answer can't be made from a request: the two sides have different keys."""
    answer = applicant.enrol(store)
    key = HKDF(SHA256(), 32, salt=b"garrison enrol v1", info=b"outpost").derive(applicant.secret.encode())
    assert answer.mac != hmac.new(key, applicant.nonce + answer.body, sha256).hexdigest()


def test_a_revoked_token(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    with store.write(ADMIN) as unit:
        revoke_token(unit, deployed.token)
    answer = applicant.enrol(store)
    assert (answer.status, told(answer), proven(answer, applicant)) == (403, {"error": "revoked_token"}, True)


def test_a_replaced_token(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    with store.write(ADMIN) as unit:
        token = replace_token(unit, deployed.outpost)
    assert told(applicant.enrol(store)) == {"error": "revoked_token"}
    assert replace_applicant(applicant, token.secret).enrol(store).status == 200


def test_an_expired_token(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    with store.write(ADMIN) as unit:
        unit.tokens.update(replace(deployed.token, expires=unit.now))
    answer = applicant.enrol(store)
    assert (answer.status, told(answer), proven(answer, applicant)) == (403, {"error": "expired_token"}, True)


def test_a_revoked_token_is_told_only_to_who_knows_it(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    with store.write(ADMIN) as unit:
        revoke_token(unit, deployed.token)
    assert told(enrol(store, replace(applicant.message(), mac=""), ())) == {"error": "bad_mac"}


def test_another_type(store: Store, applicant: Applicant) -> None:
    answer = applicant.enrol(store, type="ldap")
    expected = {"error": "wrong_type", "expected": "proxy"}
    assert (answer.status, told(answer), proven(answer, applicant)) == (403, expected, True)


def test_a_token_of_an_outpost_that_is_gone(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    with store.write(ADMIN) as unit:
        unit.outposts.remove(deployed.outpost)
    assert told(applicant.enrol(store)) == {"error": "unknown_token"}


@pytest.mark.parametrize(("minutes", "status"), [(14, 200), (-14, 200), (16, 403), (-16, 403)])
def test_a_recorded_request_is_good_for_a_quarter_of_an_hour(
    store: Store, applicant: Applicant, clock: Clock, minutes: int, status: int
) -> None:
    recorded = applicant.message()
    clock.advance(minutes=minutes)
    answer = enrol(store, recorded, (":9444",))
    assert answer.status == status
    assert proven(answer, applicant)
    if status == 403:
        assert (told(answer)["error"], told(answer)["clock"]) == ("clock_skew", clock.now.timestamp())


def test_a_request_that_is_played_again_in_time_helps_nobody_but_its_author(
    store: Store, applicant: Applicant, clock: Clock
) -> None:
    """It yields another certificate for the same key, which only the author has; the answer is bound to its nonce."""
    recorded = applicant.message()
    first = enrol(store, recorded, (":9444",))
    clock.advance(minutes=5)
    again = enrol(store, replace(recorded, address="203.0.113.9"), (":9444",))
    leaves = [x509.load_pem_x509_certificate(told(answer)["certificate"].encode()) for answer in (first, again)]
    assert [leaf.public_key() for leaf in leaves] == [applicant.key.public_key()] * 2
    assert first.mac != again.mac
    stranger = replace_applicant(applicant, applicant.secret)
    assert not proven(again, stranger)
    with store.read() as unit:
        addresses = [event.address for event in unit.audit.all() if event.action == "enrolled"]
    assert addresses == ["192.0.2.1", "203.0.113.9"]


def test_a_token_that_is_rotated_enrols_as_well_as_the_new_one(
    store: Store, deployed: Deployed, applicant: Applicant
) -> None:
    """Each certificate names the token it was got with, and ends with it."""
    with store.write(ADMIN) as unit:
        new = rotate_token(unit, deployed.outpost)
    answers = [applicant.enrol(store), replace_applicant(applicant, new.secret).enrol(store)]
    named = []
    for answer in answers:
        leaf = x509.load_pem_x509_certificate(told(answer)["certificate"].encode())
        (uri,) = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
        named.append(uri.rpartition("/")[2])
    assert named == [str(deployed.token.id), str(new.id)]
    with store.write(ADMIN) as unit:
        retire_tokens(unit, deployed.outpost)
    assert told(applicant.enrol(store)) == {"error": "revoked_token"}


def test_no_token_is_logged(store: Store, applicant: Applicant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    applicant.enrol(store)
    enrol(store, replace(applicant.message(), mac=""), ())
    assert applicant.secret not in "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


def test_every_enrolment_is_audited(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    applicant.enrol(store)
    enrol(store, replace(applicant.message(), mac=""), ())
    Applicant("y" * 43).enrol(store)
    with store.read() as unit:
        events = [(event.actor, event.action, event.name, event.outcome, event.address) for event in unit.audit.all()]
    assert events[-3:] == [
        ("outpost/edge", "enrolled", "edge", "success", "192.0.2.1"),
        ("outpost/edge", "enrolment refused", "edge", "bad_mac", "192.0.2.1"),
        ("unknown outpost", "enrolment refused", "", "unknown_token", "192.0.2.1"),
    ]
    assert deployed.token.secret not in repr(events)


def test_an_enrolment_notes_the_use_of_the_token(store: Store, deployed: Deployed, applicant: Applicant) -> None:
    applicant.enrol(store)
    with store.read() as unit:
        assert unit.tokens.get(deployed.token.id).last_used == unit.now


def test_a_body_that_is_none(store: Store) -> None:
    answer = enrol(store, Message(body=b"[", mac="", address="192.0.2.1"), ())
    assert (answer.status, told(answer)) == (
        400,
        {"error": "bad_request", "detail": "the body: expected a JSON object"},
    )


def test_nothing_secret_shows_in_representations(applicant: Applicant, deployed: Deployed) -> None:
    assert deployed.token.secret not in repr(deployed)
    assert deployed.token.secret not in repr(applicant.message())


def replace_applicant(applicant: Applicant, secret: str) -> Applicant:
    return Applicant(secret, uid=applicant.uid, clock=applicant.clock)
