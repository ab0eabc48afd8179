"""Whether addresses are free, asked before anything starts."""

import socket
from contextlib import closing

import pytest

from control.serve.ports import Taken, expect_free


def test_a_port_in_use_is_named_with_its_option() -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Taken, match=rf"--https: can't listen on 127\.0\.0\.1:{port} \(Address already in use\)"):
            expect_free({"--http": ("127.0.0.1", 0), "--https": ("127.0.0.1", port)})
        with pytest.raises(Taken):
            expect_free({"--https": ("", port)})


def test_a_port_in_use_on_ipv6_alone_is_in_use() -> None:
    with closing(socket.socket(socket.AF_INET6)) as holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind(("::", 0))
        holder.listen()
        with pytest.raises(Taken):
            expect_free({"--http": ("", holder.getsockname()[1])})


def test_a_free_port_is_fine() -> None:
    expect_free({"--http": ("127.0.0.1", 0), "--link": ("", 0), "--metrics": ("::1", 0)})


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(Taken, match=r"--http: can't listen on 192\.0\.2\.1:80"):
        expect_free({"--http": ("192.0.2.1", 80)})
