"""What people want to know of a stored certificate: whose it is, what it is good for, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from control.domain.security import Certificate

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInfo:
    """The leaf of a chain, described."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str
    key_type: str
    has_key: bool
    self_signed: bool

    def expires_in(self, now: datetime) -> timedelta:
        """How long it is still good; negative once it isn't."""
        return self.not_after - now

    def state(self, now: datetime) -> str:
        """`valid`, `expiring` (within 30 days), `expired` or `not_yet_valid`."""
        if now < self.not_before:
            return "not_yet_valid"
        if now >= self.not_after:
            return "expired"
        return "expiring" if self.expires_in(now) <= SOON else "valid"


def describe(certificate: Certificate) -> CertificateInfo:
    """Describe the leaf of a stored certificate."""
    leaf = x509.load_pem_x509_certificates(certificate.chain.encode())[0]
    return CertificateInfo(
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=_names(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        fingerprint_sha256=leaf.fingerprint(hashes.SHA256()).hex(":"),
        key_type=_key_type(leaf),
        has_key=certificate.private_key is not None,
        self_signed=leaf.subject == leaf.issuer,
    )


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _key_type(leaf: x509.Certificate) -> str:
    match leaf.public_key():
        case rsa.RSAPublicKey() as key:
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey() as key:
            return f"EC {key.curve.name}"
        case key:
            return type(key).__name__.removesuffix("PublicKey")
