"""StartTLS, and which certificate is shown to whom."""

import ssl
from dataclasses import replace

from tests.dataplane.protocols.ldap.serving import (
    PASSWORD,
    PROVIDER,
    Client,
    certificate,
    codes_of,
    serving,
    trusting,
    user_dn,
)
from tests.support import ldap_ber as ber
from tests.support.ldap_client import PASSWORD_MODIFY, START_TLS, WHO_AM_I


def test_start_tls_makes_anonymous_and_happens_once() -> None:
    web = certificate()
    with serving() as world, world.client("alice") as client:
        provider = replace(PROVIDER, certificate="certificate/web")
        assert not world.apply({"certificate/web": web, f"provider/{PROVIDER.id}": provider})
        client.start_tls(trusting(web.chain))
        assert client.who_am_i() == ""
        assert client.bind(user_dn("alice"), PASSWORD).code == 0
        found = client.ask(ber.extended(START_TLS))
        assert (found.code, found.oid) == (1, START_TLS)
        assert client.who_am_i() == f"dn:{user_dn('alice')}"


def test_start_tls_is_refused_while_anything_else_is_under_way() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.slowly = 0.2
        changing = client.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        starting = client.send(ber.extended(START_TLS))
        assert codes_of(client, [changing, starting]) == {changing: 0, starting: 1}
        pipelined = ber.message(50, ber.extended(START_TLS)) + ber.message(51, ber.extended(WHO_AM_I))
        client.socket.sendall(pipelined)
        assert codes_of(client, [50, 51]) == {50: 1, 51: 0}, "what came in the clear is not taken for what is secure"


def test_start_tls_on_tls() -> None:
    with serving() as world, Client(world.tls_port) as client:
        client.socket = trusting().wrap_socket(client.socket, server_hostname="localhost")
        assert client.ask(ber.extended(START_TLS)).code == 1
        assert client.bind(user_dn("alice"), PASSWORD).code == 0


def served(world_port: int, name: str | None) -> bytes:
    """The certificate that is shown to who asks for this name."""
    with Client(world_port) as client:
        context = trusting()
        with context.wrap_socket(client.socket, server_hostname=name) as secured:
            shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        return bytes(shown)


def der(chain: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(chain)


def test_certificates_by_name() -> None:
    one, other = certificate("one"), certificate("other")
    named = replace(PROVIDER, certificate="certificate/one", tls_server_name="LDAP.example.com")
    elsewhere = replace(
        PROVIDER,
        id="p2",
        name="Elsewhere",
        base_dn="dc=other",
        certificate="certificate/other",
        tls_server_name="other.example.com",
    )
    with serving(named) as world:
        assert served(world.tls_port, "ldap.example.com") not in {der(one.chain), der(other.chain)}
        assert not world.apply({"certificate/one": one, "certificate/other": other, "provider/p2": elsewhere})
        assert served(world.tls_port, "ldap.example.com") == der(one.chain)
        assert served(world.tls_port, "OTHER.example.com") == der(other.chain)
        for name in ("whatever.example.com", None):
            assert served(world.tls_port, name) == der(one.chain), "that of the first by name"
        assert not world.apply({}, "certificate/one")
        assert served(world.tls_port, "ldap.example.com") == der(other.chain)
