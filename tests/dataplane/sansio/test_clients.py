"""Whom an address stands for, in every spelling."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.sansio.clients import client_of, parse_address


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("::192.0.2.7", "::/64"),
        ("192.0.2.7%eth0", "192.0.2.7%eth0"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_whom_an_address_stands_for(address: str, client: str) -> None:
    assert client_of(address) == client


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_however_a_dual_stack_socket_writes_it(address: ipaddress.IPv4Address) -> None:
    for text in (f"::ffff:{address}", ipaddress.IPv6Address(f"::ffff:{address}").exploded, str(address)):
        assert parse_address(text) == address
        assert client_of(text) == str(address)


@given(st.ip_addresses(v=6))
def test_a_zone_is_no_part_of_an_address(address: ipaddress.IPv6Address) -> None:
    assert parse_address(f"{address}%eth0") == parse_address(str(address))


@given(st.text())
def test_what_is_no_address_stands_for_itself(text: str) -> None:
    try:
        parse_address(text)
    except ValueError:
        assert client_of(text) == text
