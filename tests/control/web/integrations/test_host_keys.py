"""SSH host keys in words: the same fingerprint as OpenSSH prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web.integrations.host_keys import HostKey, find_host_key

# ssh-keygen -t ed25519, and what ssh-keygen -l says of it.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPzAOoA+6ATelAh8OyPJYLBshMjPSuydoR1Gqq8cEzI"
FINGERPRINT = "SHA256:5jCIIiitz4tBb89sJ34+IIP31ZC5DdDXsTup7LRXC60"


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    assert find_host_key(KEY) == HostKey(type="ed25519", fingerprint=FINGERPRINT)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("ssh-rsa", "rsa"), ("ecdsa-sha2-nistp256", "nistp256"), ("ssh-ed25519", "ed25519")],
)
def test_types_in_short(kind: str, shown: str) -> None:
    found = find_host_key(f"{kind} AAAA")
    assert found is not None
    assert found.type == shown


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 !!!", "ssh-ed25519 AAA", "é é"])
def test_what_is_no_key(text: str) -> None:
    assert find_host_key(text) is None


@given(st.text())
def test_any_text_is_a_key_or_none(text: str) -> None:
    found = find_host_key(text)
    assert found is None or found.fingerprint.startswith("SHA256:")
