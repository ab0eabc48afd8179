"""Keys of SSH: private ones from PEM text as certificates have it, or from files; hosts' as text.

Text of a host key is `type base64`, as in known_hosts. Raises TargetAway ("bad_key") for what is no key.
"""

from io import StringIO
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from control.integrations.model import TargetAway

_OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----"


def key_of(pem: str) -> paramiko.PKey:
    """A private key (RSA, ECDSA or Ed25519) from PEM: PKCS #1, PKCS #8, SEC 1 or OpenSSH's own."""
    load = load_ssh_private_key if _OPENSSH in pem else load_pem_private_key
    try:
        found = load(pem.strip().encode() + b"\n", password=None)
        return _as_paramiko(found)
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException) as error:
        raise TargetAway("bad_key", f"private key: {error}") from error


def key_in(path: Path, certificates: tuple[Path, ...] = ()) -> paramiko.PKey:
    """A private key from a file, with that certificate (of SSH) which is for it, or the one beside it (`-cert.pub`)."""
    try:
        key = key_of(path.read_text())
        beside = path.with_name(f"{path.name}-cert.pub")
        for certificate in (*certificates, *((beside,) if beside.exists() else ())):
            if _is_for(key, certificate):
                key.load_certificate(str(certificate))
                break
    except (OSError, UnicodeDecodeError, paramiko.SSHException) as error:
        raise TargetAway("bad_key", f"{path}: {error}") from error
    return key


def host_key_text(key: paramiko.PKey) -> str:
    """A host's key as known_hosts has it."""
    return f"{key.get_name()} {key.get_base64()}"


def host_key_types(key_type: str) -> tuple[str, ...]:
    """The signature algorithms (RFC 8332 section 3) to ask for in order to be shown a key of that type."""
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _as_paramiko(key: object) -> paramiko.PKey:
    kind: type[paramiko.PKey]
    match key:
        case RSAPrivateKey():
            kind = paramiko.RSAKey
        case EllipticCurvePrivateKey():
            kind = paramiko.ECDSAKey
        case Ed25519PrivateKey():
            kind = paramiko.Ed25519Key
        case _:
            raise ValueError(f"expected RSA, ECDSA or Ed25519, found {type(key).__name__}")
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return kind.from_private_key(StringIO(text.decode()))


def _is_for(key: paramiko.PKey, certificate: Path) -> bool:
    blob = paramiko.pkey.PublicBlob.from_string(certificate.read_text())
    message = paramiko.Message(blob.key_blob)
    message.get_text()
    message.get_string()
    # After type and nonce, a certificate has what a public key has after its type (PROTOCOL.certkeys).
    public = paramiko.Message(key.asbytes())
    public.get_text()
    return message.get_remainder().startswith(public.get_remainder())
