"""The installation's certificate authority: who speaks on the link is known by certificates it signed.

It signs outposts' short-lived client certificates and the link's own server certificate, which carries one fixed
name: outposts check the installation, not DNS. Of a signing request only the public key is taken.

An authority that is rotated is trusted for OVERLAP more. Its successor signs outposts' certificates at once, but the
link's only once everyone who can still connect has been told of it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control.domain.errors import Invalid, Problem
from control.domain.security import Authority
from control.store import Event, Unit

SERVER_NAME = "link.garrison.internal"
AUTHORITY_LIFE = timedelta(days=3650)
AUTHORITY_RENEWAL = timedelta(days=365)
CLIENT_LIFE = timedelta(hours=24)
SERVER_LIFE = timedelta(days=7)
# Clocks may differ: what is signed now was valid an hour ago.
BACKDATED = timedelta(hours=1)
# How long an authority is trusted after it was rotated.
OVERLAP = timedelta(days=3)
# A certificate comes with all authorities of its time: so long after a rotation no older one is good any more.
KNOWN_TO_ALL = CLIENT_LIFE + timedelta(hours=1)
# Every handshake and every enrolment carries them all.
MOST_TRUSTED = 5
LEAST_RSA_BITS = 2048

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CLIENT_URI = re.compile(
    rf"garrison://outpost/(?P<outpost>{_UUID})/instance/(?P<instance>[^/]+)/token/(?P<token>{_UUID})"
)
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Whom a client certificate speaks for: an instance of an outpost, by the token it enrolled with.

    `issuer` is the key identifier of the authority that signed it.
    """

    outpost: UUID
    instance: str
    token: UUID
    issuer: bytes = b""
    expires: datetime | None = None

    @property
    def uri(self) -> str:
        """The name in the certificate."""
        return f"garrison://outpost/{self.outpost}/instance/{self.instance}/token/{self.token}"


def find_client(uri: str) -> Client | None:
    """Whom a name in a certificate speaks for, if it is one of ours."""
    parts = _CLIENT_URI.fullmatch(uri)
    if parts is None:
        return None
    return Client(outpost=UUID(parts["outpost"]), instance=parts["instance"], token=UUID(parts["token"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """The link's key and certificate, as PEM."""

    certificate: str
    private_key: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityView:
    """An authority as an admin sees it: by the SHA-256 of its certificate, in hex. `signs` what outposts get now."""

    authority: Authority
    fingerprint: str
    signs: bool
    trusted_until: datetime


def authorities_status(unit: Unit) -> tuple[AuthorityView, ...]:
    """The authorities that are trusted, the oldest first."""
    known = trusted(unit.authorities.all(), unit.now)
    return tuple(
        AuthorityView(
            authority=each,
            fingerprint=_parsed(each.certificate).fingerprint(SHA256()).hex(),
            signs=each is known[-1],
            trusted_until=trusted_until(each),
        )
        for each in known
    )


def ensure_authority(unit: Unit) -> Authority:
    """The authority that signs clients' certificates, made when there is none or its end is near."""
    known = trusted(unit.authorities.all(), unit.now)
    if known and not_after(known[-1].certificate) - unit.now > AUTHORITY_RENEWAL:
        return known[-1]
    return rotate_authority(unit)


def rotate_authority(unit: Unit) -> Authority:
    """Make a new authority, which signs from now on; those before retire after OVERLAP.

    Raises Invalid when too many are trusted already.
    """
    known = trusted(unit.authorities.all(), unit.now)
    if len(known) >= MOST_TRUSTED:
        expected = f"fewer than {MOST_TRUSTED} at once; the next retires {trusted_until(known[0]):%Y-%m-%d %H:%M} UTC"
        raise Invalid([Problem(field="authority", code="too_many", found=str(len(known)), expected=expected)])
    for each in known:
        if each.retires is None:
            unit.authorities.update(replace(each, retires=unit.now + OVERLAP))
    authority = unit.authorities.add(_new_authority(known, unit.now))
    if known:
        unit.record(Event(action="rotated", kind="authority", target=str(authority.id), name=str(known[-1].id)))
    return authority


def drop_retired(unit: Unit) -> None:
    """Forget the authorities that nobody trusts any more, keys and all."""
    known = unit.authorities.all()
    for each in known:
        if not is_trusted(each, unit.now):
            unit.authorities.remove(each)


def trusted_until(authority: Authority) -> datetime:
    """When the authority retires, or ends by itself."""
    end = not_after(authority.certificate)
    return end if authority.retires is None else min(end, authority.retires)


def is_trusted(authority: Authority, now: datetime) -> bool:
    """Whether what the authority signed counts."""
    return trusted_until(authority) > now


def trusted(authorities: Iterable[Authority], now: datetime) -> tuple[Authority, ...]:
    """Those that are trusted, the oldest first: the last signs clients' certificates."""
    return tuple(sorted((each for each in authorities if is_trusted(each, now)), key=lambda each: each.created))


def find_server_signer(authorities: Iterable[Authority], now: datetime) -> Authority | None:
    """The authority for the link's own certificate: the newest that everyone knows by now, else the oldest."""
    known = trusted(authorities, now)
    settled = [each for each in known if each.created + KNOWN_TO_ALL <= now]
    return next(iter([*reversed(settled), *known]), None)


def next_turn(authorities: Iterable[Authority], now: datetime) -> datetime | None:
    """When time alone next changes who is trusted or who signs."""
    turns = (turn for each in authorities for turn in (trusted_until(each), each.created + KNOWN_TO_ALL))
    return min((turn for turn in turns if turn > now), default=None)


def trust_bundle(authorities: Iterable[Authority], now: datetime) -> str:
    """The certificates of every authority that is trusted, as PEM."""
    return "".join(each.certificate for each in trusted(authorities, now))


@lru_cache(maxsize=64)
def key_identifier(certificate: str) -> bytes:
    """What certificates name their issuer by (RFC 5280 section 4.2.1.1), of an authority's own PEM certificate."""
    return _parsed(certificate).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def issue_client(authority: Authority, key: PublicKey, client: Client, now: datetime) -> str:
    """A client certificate, as PEM."""
    name = x509.UniformResourceIdentifier(client.uri)
    builder = _leaf(authority, key, client.instance, (now, CLIENT_LIFE))
    return _pem(_sign(builder, authority, [name], ExtendedKeyUsageOID.CLIENT_AUTH))


def issue_server(authority: Authority, now: datetime) -> ServerIdentity:
    """A new key and certificate for the link."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _leaf(authority, key.public_key(), SERVER_NAME, (now, SERVER_LIFE))
    certificate = _sign(builder, authority, [x509.DNSName(SERVER_NAME)], ExtendedKeyUsageOID.SERVER_AUTH)
    return ServerIdentity(certificate=_pem(certificate), private_key=_key_pem(key), expires=now + SERVER_LIFE)


def requested_key(signing_request: str) -> PublicKey:
    """The public key of a PEM signing request, whose holder signed it. Raises ValueError saying what is wrong."""
    try:
        request = x509.load_pem_x509_csr(signing_request.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise ValueError("not a PEM certificate signing request") from None
    if not signed:
        raise ValueError("its signature does not fit its key")
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()) | ed25519.Ed25519PublicKey():
            return key
        case rsa.RSAPublicKey(key_size=bits) if bits >= LEAST_RSA_BITS:
            return key
        case _:
            raise ValueError("its key is of a kind or size that is not accepted")


def not_after(certificate: str) -> datetime:
    """When a PEM certificate ends."""
    return _parsed(certificate).not_valid_after_utc


@lru_cache(maxsize=64)
def _parsed(certificate: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.encode())


def _new_authority(known: Sequence[Authority], now: datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(
        id=uuid4(),
        certificate=_pem(_authority_certificate(key, now)),
        private_key=_key_pem(key),
        # Which one is the newest must not depend on whose clock was right.
        created=max([now, *(each.created + timedelta(microseconds=1) for each in known)]),
    )


def _authority_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Garrison link authority")])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return builder.sign(key, SHA256())


def _leaf(authority: Authority, key: PublicKey, name: str, life: tuple[datetime, timedelta]) -> x509.CertificateBuilder:
    issuer = _parsed(authority.certificate)
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    now, length = life
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + length)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder,
    authority: Authority,
    names: Sequence[x509.GeneralName],
    purpose: x509.ObjectIdentifier,
) -> x509.Certificate:
    key = load_pem_private_key(authority.private_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("an authority's key is an EC key")
    named = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return named.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False).sign(key, SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
