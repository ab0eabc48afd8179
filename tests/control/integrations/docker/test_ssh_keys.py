"""Keys of SSH from PEM text."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from control.integrations.docker.ssh_keys import host_key_text, host_key_types, key_of
from control.integrations.model import TargetAway

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_RSA = rsa.generate_private_key(65537, 2048)
_KEYS: list[tuple[Key, PrivateFormat]] = [
    (_RSA, PrivateFormat.TraditionalOpenSSL),
    (_RSA, PrivateFormat.PKCS8),
    (_RSA, PrivateFormat.OpenSSH),
    (ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
    (ec.generate_private_key(ec.SECP521R1()), PrivateFormat.PKCS8),
    (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
    (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH),
]


@pytest.mark.parametrize(("key", "form"), _KEYS)
def test_each_kind_in_each_form(key: Key, form: PrivateFormat) -> None:
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    found = key_of(f"\n{pem}\n")

    assert host_key_text(found) == key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_keys_that_can_not_be_used() -> None:
    old = dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    sealed = _RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    odd = ec.generate_private_key(ec.SECP256K1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (old.decode(), sealed.decode(), odd.decode(), ""):
        with pytest.raises(TargetAway) as away:
            key_of(pem)
        assert away.value.code == "bad_key"


@given(st.text(max_size=300))
def test_any_text_is_no_key(text: str) -> None:
    for pem in (text, f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----"):
        with pytest.raises(TargetAway):
            key_of(pem)


def test_an_rsa_host_is_asked_for_by_its_signatures() -> None:
    assert host_key_types("ssh-rsa") == ("rsa-sha2-512", "rsa-sha2-256")
    assert host_key_types("ssh-ed25519") == ("ssh-ed25519",)
