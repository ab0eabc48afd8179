"""The keys of ID tokens: ES256, made at first need, the newest signs and all verify."""

from functools import lru_cache
from uuid import uuid4

from joserfc.jwk import ECKey, KeySet, KeySetSerialization

from control.domain.security import SigningKey
from control.store import Unit

ALGORITHM = "ES256"
CURVE = "P-256"
# What a token's header calls it (RFC 7519 section 5.1).
TYPE = "JWT"


def ensure_signing_key(unit: Unit) -> SigningKey:
    """The key that signs; the first one is made here."""
    known = unit.signing_keys.all()
    return known[-1] if known else unit.signing_keys.add(_new_key(unit))


@lru_cache(maxsize=16)
def signer(key: SigningKey) -> ECKey:
    """The key as JOSE knows it, named by its RFC 7638 thumbprint."""
    imported = ECKey.import_key(key.private_key, {"alg": ALGORITHM, "use": "sig"})
    imported.ensure_kid()
    return imported


def public_keys(unit: Unit) -> KeySetSerialization:
    """The JWK set that verifies every token still about, without private parts."""
    return KeySet([signer(key) for key in unit.signing_keys.all()]).as_dict(private=False)


def _new_key(unit: Unit) -> SigningKey:
    pem = ECKey.generate_key(CURVE).as_pem(private=True).decode()
    return SigningKey(id=uuid4(), private_key=pem, created=unit.now)
