"""Signing keys: made once, the newest signs, all verify, and none of their private parts is published."""

from datetime import timedelta
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, KeySet

from control.auth.oidc.keys import ensure_signing_key, public_keys, signer
from control.auth.oidc.tokens import sign
from control.domain.security import SigningKey
from control.store import Store
from tests.support.stores import ADMIN, Clock


def test_the_first_key_is_made_once(store: Store) -> None:
    with store.write(ADMIN) as unit:
        first = ensure_signing_key(unit)
    with store.write(ADMIN) as unit:
        assert ensure_signing_key(unit) == first
        assert unit.signing_keys.count() == 1
    assert "PRIVATE KEY" not in repr(first)


def test_the_newest_signs_and_all_verify(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        old = ensure_signing_key(unit)
        pem = ECKey.generate_key("P-256").as_pem(private=True).decode()
        newer = unit.signing_keys.add(SigningKey(id=uuid4(), private_key=pem, created=clock.now + timedelta(seconds=1)))
        assert ensure_signing_key(unit) == newer
        keys = KeySet.import_key_set(public_keys(unit))
    for key in (old, newer):
        token = jwt.decode(sign({"sub": "alice"}, key), keys, algorithms=["ES256"])
        assert token.header["kid"] == signer(key).kid


def test_what_is_published_is_public(store: Store) -> None:
    with store.write(ADMIN) as unit:
        ensure_signing_key(unit)
        (published,) = public_keys(unit)["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (published["kty"], published["crv"], published["alg"], published["use"]) == ("EC", "P-256", "ES256", "sig")


def test_a_changed_token_does_not_verify(store: Store) -> None:
    with store.write(ADMIN) as unit:
        token = sign({"sub": "alice"}, ensure_signing_key(unit))
        keys = KeySet.import_key_set(public_keys(unit))
    header, payload, signature = token.split(".")
    other = sign({"sub": "akadmin"}, SigningKey(id=uuid4(), private_key=_foreign(), created=Clock().now))
    for forged in (f"{header}.{other.split('.')[1]}.{signature}", f"{header}.{payload}.{other.split('.')[2]}"):
        with pytest.raises(BadSignatureError):
            jwt.decode(forged, keys, algorithms=["ES256"])


def _foreign() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()
