"""Who gets through the handshake, and as whom."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from control.fleet.authority import Client, ensure_authority, issue_client, issue_server
from control.link.caller import CallRefused, get_client, peer_address
from control.store import SYSTEM
from tests.support.fleet import deploy
from tests.support.links import Control, Credentials, outpost


def status(control: Control, given: Credentials) -> tuple[grpc.StatusCode, str]:
    """How a stream with these credentials ends."""

    async def play() -> tuple[grpc.StatusCode, str]:
        async with control.link() as link, outpost(link, given) as edge:
            try:
                await edge.hello()
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details() or ""
            return await edge.status()

    return asyncio.run(play())


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
        get_client({"x509_subject_alternative_name": [name]})
    assert error.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_clients_name_is_read_back() -> None:
    client = Client(outpost=uuid4(), instance="edge-1", token=uuid4())
    assert get_client({"x509_subject_alternative_name": [b"other", client.uri.encode()]}) == client


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:192.0.2.1:5000", "192.0.2.1"), ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::1"), ("unix:", "")],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert peer_address(peer) == address
