"""Contexts and what is wrong with their ingredients; what they do in a handshake is in test_dial_tls."""

import ssl
import subprocess
import sys

import pytest

from dataplane.io.tls_client import client_context
from tests.dataplane.io.upstreams import authority, certificate

PATCHED = """
from gevent import monkey
monkey.patch_all()
import ssl
from dataplane.io.dial import dial
from tests.dataplane.io.doors import echo
from tests.dataplane.io.upstreams import secured, way

tls = way()
with secured(echo) as address:
    for verified in (tls, tls, way(verify=False), way(server_name="127.0.0.1")):
        with dial(address, 5, verified) as upstream:
            upstream.write(b"hello", 5)
            print(upstream.read(5).decode())
            upstream.rest(lambda _: None)
    try:
        dial(address, 5, way("other.example"))
    except ssl.SSLCertVerificationError:
        print("refused")
"""


def test_contexts_verify_names_and_chains_unless_told_otherwise() -> None:
    for context in (client_context("", None, verify=True), client_context(authority().pem, None, verify=True)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    lax = client_context("", None, verify=False)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


def test_the_authorities_of_the_system_are_read_once() -> None:
    assert client_context("", None, verify=True) is client_context("", None, verify=True)
    own = certificate()
    shown = own.certificate, own.key
    assert client_context("", shown, verify=True) is not client_context("", shown, verify=True)
    assert client_context("", None, verify=False) is not client_context("", None, verify=False)


def test_the_authorities_given_are_the_only_ones() -> None:
    assert len(client_context(authority().pem, None, verify=True).get_ca_certs()) == 1


@pytest.mark.parametrize("authorities", ["nonsense", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_authorities_that_are_none(authorities: str) -> None:
    with pytest.raises(ValueError, match="authorities can't be used for TLS: expected certificates as PEM"):
        client_context(authorities, None, verify=True)


def test_a_certificate_with_the_key_of_another() -> None:
    with pytest.raises(ValueError, match="certificate and private key can't be used"):
        client_context("", (certificate().certificate, authority().issue("other").key), verify=False)


def test_as_workers_have_it_with_sockets_and_contexts_of_gevent() -> None:
    done = subprocess.run([sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.stderr) == (["hello"] * 4 + ["refused"], "")
