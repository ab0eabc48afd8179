"""Certificates: taken as PEM and checked whole (order, signatures, key), made self-signed, and described for people.

What is stored is in one normal form (PEM as we write it, PKCS #8 keys), so the same certificate is the same text.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control.domain.origins import NotAnOrigin, normal_host
from control.domain.security import Certificate
from control.fleet.fields import Fields, Reader
from control.store import Unit

FIELDS = ("name", "certificate", "key")
GENERATE_FIELDS = ("name", "common_name", "subject_alt_names", "validity_days", "algorithm")
ALGORITHMS = ("ecdsa", "rsa")
_MOST_BYTES = 128 * 1024
_LONGEST_CHAIN = 10
_SHORTEST_RSA = 2048
_GENERATED_RSA = 3072
_PEM_CHAIN = "PEM certificates, the leaf first (-----BEGIN CERTIFICATE-----)"
_PEM_KEY = "a PEM private key without passphrase (-----BEGIN PRIVATE KEY-----)"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def create_certificate(unit: Unit, fields: Fields) -> Certificate:
    """Store a certificate with or without its key. Raises Invalid with every problem."""
    blank = Certificate(id=uuid4(), name="", chain="", created=unit.now)
    return unit.certificates.add(_checked(unit, blank, fields))


def update_certificate(unit: Unit, certificate: Certificate, fields: Fields) -> Certificate:
    """Change the fields that are named. Raises Invalid with every problem."""
    return unit.certificates.update(_checked(unit, certificate, fields))


def remove_certificate(unit: Unit, certificate: Certificate) -> None:
    """Remove a certificate that no provider names. Raises InUse."""
    unit.certificates.remove(certificate)


def generate_certificate(unit: Unit, fields: Fields) -> Certificate:
    """Make a self-signed certificate with a new key. Raises Invalid with every problem."""
    reader = Reader(fields, GENERATE_FIELDS)
    name = reader.object_name("", 150)
    reader.expect_free("name", unit.certificates.find_named(name), uuid4())
    common_name = reader.text("common_name", "", 64, required=True)
    names = _alternative_names(reader, common_name)
    days = reader.whole("validity_days", 365, 1, 3650)
    algorithm = reader.text("algorithm", ALGORITHMS[0], 20)
    if algorithm not in ALGORITHMS:
        reader.refuse("algorithm", "not_a_choice", algorithm, "one of " + ", ".join(ALGORITHMS))
    reader.check()
    key = _new_key(algorithm)
    leaf = _self_signed(_unsigned(unit, common_name, names, days), key)
    made = Certificate(id=uuid4(), name=name, chain=_chain_text([leaf]), private_key=_key_text(key), created=unit.now)
    return unit.certificates.add(made)


def _checked(unit: Unit, current: Certificate, fields: Fields) -> Certificate:
    reader = Reader(fields, FIELDS)
    name = reader.object_name(current.name, 150)
    reader.expect_free("name", unit.certificates.find_named(name), current.id)
    chain = _chain(reader, reader.text("certificate", current.chain, _MOST_BYTES, required=True))
    key = _key(reader, reader.text("key", current.private_key or "", _MOST_BYTES))
    if chain and key is not None and _spki(chain[0]) != _spki(key):
        reader.refuse("key", "key_of_another_certificate", "", "the private key of the first certificate")
    if key is None and any(current.id in provider.shown_certificates for provider in unit.providers.all()):
        reader.refuse("key", "in_use", "", "a private key, as a provider serves with it")
    if key is None and any(each.tls_authentication == current.id for each in unit.integrations.all()):
        reader.refuse("key", "in_use", "", "a private key, as an integration shows it to its engine")
    reader.check()
    return replace(current, name=name, chain=_chain_text(chain), private_key=None if key is None else _key_text(key))


def _chain(reader: Reader, text: str) -> Sequence[x509.Certificate]:
    if not text:
        return ()
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        reader.refuse("certificate", "not_pem", text.partition("\n")[0], _PEM_CHAIN)
        return ()
    if len(chain) > _LONGEST_CHAIN:
        reader.refuse("certificate", "too_long", f"{len(chain)} certificates", f"at most {_LONGEST_CHAIN}")
    for place, (lower, upper) in enumerate(pairwise(chain), 2):
        if not _is_issued_by(lower, upper):
            found = f"number {place}: {upper.subject.rfc4514_string()}"
            reader.refuse("certificate", "not_in_order", found, f"the issuer of {lower.subject.rfc4514_string()}")
    return chain


def _is_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _key(reader: Reader, text: str) -> PrivateKey | None:
    """The key `text` holds. What was found is not told: it might be half a key."""
    if not text:
        return None
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        reader.refuse("key", "encrypted_key", "", _PEM_KEY)
    except Exception:  # noqa: BLE001 - ValueError, UnsupportedAlgorithm and OpenSSL's own; all say "no key of ours"
        reader.refuse("key", "not_pem", "", _PEM_KEY)
    else:
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _SHORTEST_RSA:
            reader.refuse("key", "too_short", f"{key.key_size} bits", f"at least {_SHORTEST_RSA} bits")
        if isinstance(key, PrivateKey):
            return key
        reader.refuse("key", "key_type_refused", type(key).__name__, "an RSA, EC or Ed25519 key")
    return None


def _spki(holder: x509.Certificate | PrivateKey) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _chain_text(chain: Sequence[x509.Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in chain)


def _key_text(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _alternative_names(reader: Reader, common_name: str) -> list[x509.GeneralName]:
    """The names wanted, or the common name where none is; RFC 6125 looks nowhere else."""
    value = reader.fields.get("subject_alt_names", "")
    texts = value.replace("\n", ",").split(",") if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        reader.refuse("subject_alt_names", "not_a_list", value, "names and addresses, separated by commas")
        return []
    wanted = [text.strip() for text in texts if text.strip()] or [common_name]
    return [name for text in wanted if (name := _general_name(reader, text)) is not None]


def _general_name(reader: Reader, text: str) -> x509.GeneralName | None:
    star = "*." if text.startswith("*.") else ""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(star + normal_host(text.removeprefix("*.")))
    except NotAnOrigin:
        reader.refuse("subject_alt_names", "not_a_host", text, "a host name or an address")
        return None


def _new_key(algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if algorithm == "rsa":
        return rsa.generate_private_key(65537, _GENERATED_RSA)
    return ec.generate_private_key(ec.SECP256R1())


def _unsigned(unit: Unit, common_name: str, names: list[x509.GeneralName], days: int) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(unit.now - timedelta(hours=1))
        .not_valid_after(unit.now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _self_signed(
    builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    return builder.public_key(key.public_key()).sign(key, hashes.SHA256())
