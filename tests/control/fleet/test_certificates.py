"""Certificates: what is taken, what is refused, and what people are told of them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from control.domain.errors import InUse, Invalid
from control.fleet.certificate_info import describe
from control.fleet.certificates import create_certificate, generate_certificate, remove_certificate, update_certificate
from control.fleet.proxy_providers import create_proxy_provider
from control.store import Store
from tests.support.stores import ADMIN, Clock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWN = "https://garrison.example.com"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption).decode()


def issue(name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey) -> str:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=60))
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


ROOT_KEY, LEAF_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
ROOT = issue("root", ROOT_KEY, "root", ROOT_KEY)
LEAF = issue("leaf", LEAF_KEY, "root", ROOT_KEY)


def refusals(store: Store, **fields: object) -> dict[str, str]:
    """Code by field of what is wrong with a certificate of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_certificate(unit, {"name": "web", **fields})
    assert all("PRIVATE" not in problem.found for problem in caught.value.problems)
    return {problem.field: problem.code for problem in caught.value.problems}


def test_a_chain_with_its_key(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_certificate(unit, {"name": "web", "certificate": f"{LEAF}\n{ROOT}", "key": pem(LEAF_KEY)})
        assert unit.certificates.get(made.id) == made
    assert made.chain == LEAF + ROOT
    assert made.private_key is not None
    assert made.private_key.startswith("-----BEGIN PRIVATE KEY-----")


def test_it_is_stored_in_one_form(store: Store) -> None:
    noisy = "subject=leaf\r\n" + LEAF.replace("\n", "\r\n")
    with store.write(ADMIN) as unit:
        made = create_certificate(unit, {"name": "web", "certificate": noisy, "key": pem(LEAF_KEY)})
        assert update_certificate(unit, made, {"certificate": LEAF, "key": pem(LEAF_KEY)}) == made


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {"certificate": "missing"}),
        ({"certificate": "hello"}, {"certificate": "not_pem"}),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, {"certificate": "not_pem"}),
        ({"certificate": ROOT + LEAF}, {"certificate": "not_in_order"}),
        ({"certificate": LEAF + LEAF}, {"certificate": "not_in_order"}),
        ({"certificate": ROOT * 11}, {"certificate": "too_long"}),
        ({"certificate": LEAF, "key": pem(ROOT_KEY)}, {"key": "key_of_another_certificate"}),
        ({"certificate": LEAF, "key": "hello"}, {"key": "not_pem"}),
        ({"certificate": LEAF, "key": LEAF}, {"key": "not_pem"}),
        ({"certificate": LEAF, "key": pem(LEAF_KEY, b"secret")}, {"key": "encrypted_key"}),
        ({"certificate": LEAF, "key": pem(dsa.generate_private_key(2048))}, {"key": "key_type_refused"}),
        ({"certificate": LEAF, "key": 7}, {"key": "not_text"}),
        (
            {"certificate": "hello", "key": "hello", "nmae": "x"},
            {"certificate": "not_pem", "key": "not_pem", "nmae": "unknown_field"},
        ),
    ],
)
def test_what_is_refused(store: Store, fields: dict[str, object], found: dict[str, str]) -> None:
    assert refusals(store, **fields) == found


def test_short_rsa_keys_are_refused(store: Store) -> None:
    short = rsa.generate_private_key(65537, 1024)
    assert refusals(store, certificate=LEAF, key=pem(short))["key"] in {"too_short", "key_of_another_certificate"}


def test_a_key_in_use_is_not_taken_away(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_certificate(unit, {"name": "web", "certificate": LEAF, "key": pem(LEAF_KEY)})
        create_proxy_provider(unit, {"name": "w", "external_host": "https://w.example.com", "certificate": "web"}, OWN)
        with pytest.raises(Invalid) as caught:
            update_certificate(unit, made, {"key": ""})
        with pytest.raises(InUse):
            remove_certificate(unit, made)
    assert caught.value.problems[0].code == "in_use"


def test_one_on_the_way_to_an_application_stays(store: Store) -> None:
    """What is shown to an application keeps its key; what it is recognised by needs none."""
    proxied = {"mode": "proxy", "internal_host": "https://app.internal", "external_host": "https://w.example.com"}
    with store.write(ADMIN) as unit:
        shown = create_certificate(unit, {"name": "shown", "certificate": LEAF, "key": pem(LEAF_KEY)})
        trusted = create_certificate(unit, {"name": "trusted", "certificate": LEAF, "key": pem(LEAF_KEY)})
        named = {"internal_host_certificate": "shown", "internal_host_authorities": "trusted"}
        create_proxy_provider(unit, {"name": "w", **proxied, **named}, OWN)
        with pytest.raises(Invalid) as caught:
            update_certificate(unit, shown, {"key": ""})
        assert update_certificate(unit, trusted, {"key": ""}).private_key is None
        for each in (shown, trusted):
            with pytest.raises(InUse):
                remove_certificate(unit, each)
    assert caught.value.problems[0].code == "in_use"


@pytest.mark.parametrize(("algorithm", "key_type"), [("ecdsa", "EC secp256r1"), ("rsa", "RSA 3072")])
def test_generating_one(store: Store, clock: Clock, algorithm: str, key_type: str) -> None:
    fields = {
        "name": "web",
        "common_name": "wiki.example.com",
        "subject_alt_names": "wiki.example.com, *.example.com, 192.0.2.7",
        "validity_days": "30",
        "algorithm": algorithm,
    }
    with store.write(ADMIN) as unit:
        made = generate_certificate(unit, fields)
    told = describe(made)
    assert (told.subject, told.self_signed, told.has_key) == ("CN=wiki.example.com", True, True)
    assert (told.key_type, told.names) == (key_type, ("wiki.example.com", "*.example.com", "192.0.2.7"))
    assert told.expires_in(clock.now) == timedelta(days=30)


def test_the_common_name_is_an_alternative_name_when_there_is_no_other(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = generate_certificate(unit, {"name": "web", "common_name": "wiki.example.com"})
    assert describe(made).names == ("wiki.example.com",)


def test_generating_tells_every_problem(store: Store) -> None:
    fields = {"name": "", "common_name": "x" * 65, "subject_alt_names": "a b", "validity_days": 0, "algorithm": "md5"}
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        generate_certificate(unit, fields)
    assert {problem.field for problem in caught.value.problems} == set(fields)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (NOW - timedelta(seconds=1), "not_yet_valid"),
        (NOW, "valid"),
        (NOW + timedelta(days=30), "expiring"),
        (NOW + timedelta(days=60), "expired"),
    ],
)
def test_states(store: Store, now: datetime, state: str) -> None:
    with store.write(ADMIN) as unit:
        made = create_certificate(unit, {"name": "web", "certificate": LEAF})
    assert describe(made).state(now) == state
    assert describe(made).issuer == "CN=root"


def test_an_ed25519_key_is_told_by_name(store: Store) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    text = builder.sign(key, None).public_bytes(Encoding.PEM).decode()
    with store.write(ADMIN) as unit:
        made = create_certificate(unit, {"name": "e", "certificate": text})
    assert (describe(made).key_type, describe(made).names) == ("Ed25519", ())
