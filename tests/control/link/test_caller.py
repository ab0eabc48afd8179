"""Who gets through the handshake, and as whom."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from control.domain.security import Authority
from control.fleet.authority import (
    Client,
    ensure_authority,
    issue_client,
    issue_server,
    key_identifier,
    not_after,
    rotate_authority,
)
from control.link.caller import CallRefused, get_client, peer_address
from control.store import SYSTEM
from protos.outpost.v1 import gate_pb2
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control, Credentials, outpost

UNTOLD = grpc.StatusCode.INTERNAL, "Internal error from Core"
"""What grpc.aio makes of a stream that is refused at the moment in which it is written to."""


def status(control: Control, given: Credentials) -> tuple[grpc.StatusCode, str]:
    """How a stream with these credentials ends."""

    async def play() -> tuple[grpc.StatusCode, str]:
        async with control.link() as link, outpost(link, given) as edge:
            try:
                await edge.hello()
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details() or ""
            return await edge.status()

    ended = asyncio.run(play())
    return status(control, given) if ended == UNTOLD else ended


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_certificate_of_another_authority_does_not_get_through(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(RuntimeError, match="rolled back"), control.store.write(SYSTEM) as unit:
        for authority in unit.authorities.all():
            unit.authorities.remove(authority)
        foreign = ensure_authority(unit)
        raise RuntimeError("rolled back")
    client = Client(outpost=deployed.outpost.id, instance=given.uid, token=deployed.token.id)
    forged = issue_client(foreign, key.public_key(), client, datetime.now(UTC))
    code, _ = status(control, replace(given, certificate=forged.encode(), key=key_pem(key)))
    assert code is grpc.StatusCode.UNAVAILABLE


def test_an_expired_certificate_does_not_get_through(control: Control) -> None:
    deployed = deploy(control.store)
    control.clock.advance(hours=-25)
    given = control.enrol(deployed)
    control.clock.advance(hours=25)
    assert status(control, given)[0] is grpc.StatusCode.UNAVAILABLE


def test_the_links_own_certificate_is_no_clients(control: Control) -> None:
    given = control.enrol(deploy(control.store))
    with control.store.read() as unit:
        server = issue_server(unit.authorities.all()[-1], datetime.now(UTC))
    shown = replace(given, certificate=server.certificate.encode(), key=server.private_key.encode())
    assert status(control, shown)[0] in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"link.garrison.internal",
        b"garrison://outpost/x/instance/y/token/z",
        b"garrison://outpost/00000000-0000-0000-0000-000000000000/instance/a/b/token/x",
        b"\xff\xfe",
    ],
)
def test_a_name_that_is_no_clients(name: bytes) -> None:
    with pytest.raises(CallRefused) as error:
        get_client({"x509_subject_alternative_name": [name], "x509_pem_cert": [b"unread"]})
    assert error.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_client_is_read_back(control: Control) -> None:
    client = Client(outpost=uuid4(), instance="edge-1", token=uuid4())
    with control.store.write(SYSTEM) as unit:
        authority = ensure_authority(unit)
    certificate = issue_client(
        authority, ec.generate_private_key(ec.SECP256R1()).public_key(), client, control.clock.now
    )
    names = [b"other", client.uri.encode()]
    found = get_client({"x509_subject_alternative_name": names, "x509_pem_cert": [certificate.encode()]})
    issuer = key_identifier(authority.certificate)
    ends = control.clock.now.replace(microsecond=0) + timedelta(hours=24)
    assert found == replace(client, issuer=issuer, expires=ends)


def test_a_name_without_a_certificate_is_nobodys() -> None:
    client = Client(outpost=uuid4(), instance="edge-1", token=uuid4())
    with pytest.raises(CallRefused):
        get_client({"x509_subject_alternative_name": [client.uri.encode()]})


def forged(deployed: Deployed, signer: Authority, *extensions: x509.ExtensionType) -> Credentials:
    """What a thief of an authority's key makes for himself: good for years, and naming its issuer as he likes."""
    key = ec.generate_private_key(ec.SECP256R1())
    client = Client(outpost=deployed.outpost.id, instance="thief", token=deployed.token.id)
    issuer = x509.load_pem_x509_certificate(signer.certificate.encode())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "thief")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(not_after(signer.certificate))
    )
    for extension in (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(client.uri)]), *extensions):
        builder = builder.add_extension(extension, critical=False)
    own = load_pem_private_key(signer.private_key.encode(), None)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    certificate = builder.sign(own, SHA256()).public_bytes(Encoding.PEM)
    return Credentials("thief", certificate, key_pem(key), signer.certificate.encode())


def test_a_forged_certificate_can_not_hide_who_signed_it(control: Control) -> None:
    """Or it would outlive its authority on a connection that was opened in time."""
    deployed = deploy(control.store)
    with control.store.write(SYSTEM) as unit:
        old, new = ensure_authority(unit), rotate_authority(unit)
    code, message = status(control, forged(deployed, old))
    assert (code, "authority" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)
    lie = x509.AuthorityKeyIdentifier(key_identifier(new.certificate), None, None)
    assert status(control, forged(deployed, old, lie))[0] is grpc.StatusCode.UNAVAILABLE


def test_a_forged_certificate_ends_with_its_authority(control: Control) -> None:
    deployed = deploy(control.store)
    with control.store.write(SYSTEM) as unit:
        old = ensure_authority(unit)
    truth = x509.AuthorityKeyIdentifier(key_identifier(old.certificate), None, None)

    async def play() -> None:
        async with control.link() as link, outpost(link, forged(deployed, old, truth)) as thief:
            await thief.connect()
            with control.store.write(SYSTEM) as unit:
                rotate_authority(unit)
            control.clock.advance(days=3)
            code, message = await thief.status()
            assert (code, "has retired" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)

    asyncio.run(play())


def test_a_connection_does_not_outlive_its_certificate(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            control.clock.advance(hours=24)
            provider = str(deployed.sites[0].provider.id)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await edge.gate.RedeemCode(gate_pb2.RedeemCodeRequest(provider=provider, code="c0de"))
            assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
            link.parts.revisions.refresh()
            code, message = await edge.status()
            assert (code, message) == (grpc.StatusCode.UNAUTHENTICATED, "the certificate has expired")

    asyncio.run(play())


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:192.0.2.1:5000", "192.0.2.1"), ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::1"), ("unix:", "")],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert peer_address(peer) == address
