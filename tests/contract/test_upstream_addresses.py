"""Addresses of applications: what control stores an outpost takes, and both mean the same by it."""

from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from control.auth.people_rules import attribute_problems
from control.domain.addresses import Address, parse_address, parse_host_header
from control.domain.origins import NotAnOrigin
from dataplane.io.dial import TcpAddress, UnixAddress
from dataplane.io.url import parse_upstream
from dataplane.protocols.proxy.wire import parse_host

HOSTS = st.sampled_from(["app", "10.0.0.5", "[2001:DB8::1]", "127.1", "app.0x7f", "[fe80::1%25eth0]", "[fe80::1%eth0]"])
HOSTS |= st.sampled_from(["app/", "app..", "[v1.a]"])
HOSTS |= st.text(st.sampled_from("aZ09-._x%ü[]:/"), max_size=12)
PATHS = st.text(st.sampled_from('/a.%25eE0F;:@~+ü\\"<|^`'), max_size=16)
PORTS = st.sampled_from(["", ":80", ":443", ":0080", ":8080", ":65535", ":65536", ":", ":-1", ":+1", ":1_0"])


@given(st.sampled_from(["http://", "HTTPS://", "unix://", "ftp://"]), HOSTS, PORTS, PATHS)
@example("http://", "app", "", "/a%2E%2e/b")
@example("unix://", "", "", "/run//app.sock")
def test_what_control_stores_an_outpost_takes(scheme: str, host: str, port: str, path: str) -> None:
    try:
        stored = parse_address(scheme + host + port + path)
    except NotAnOrigin:
        return
    taken = parse_upstream(str(stored))
    match taken.address:
        case UnixAddress(path=socket):
            assert stored == Address(None, socket)
        case TcpAddress(host=name, port=number):
            assert stored.origin is not None
            assert (name, number) == (stored.origin.host, stored.origin.effective_port)
            assert (taken.scheme, taken.path) == (urlsplit(str(stored)).scheme, stored.path)


@given(st.sampled_from(["http://", "HTTPS://", "unix://"]), HOSTS, PORTS, PATHS)
@example("http://", "App.", "", "")
@example("http://", "app..", "", "")
@example("http://", "[v1.a]", "", "")
def test_what_attributes_say_of_a_person_an_outpost_takes_as_it_is_written(
    scheme: str, host: str, port: str, path: str
) -> None:
    written = scheme + host + port + path
    if not attribute_problems({"ak_proxy": {"backend_override": written}}):
        taken, meant = parse_upstream(written), parse_upstream(str(parse_address(written)))
        assert (taken.scheme, taken.path, taken.host) == (meant.scheme, meant.path, meant.host)


@given(HOSTS, PORTS)
@example("app/", "")
@example("app..", "")
@example("[v1.a]", "")
def test_what_control_takes_for_a_host_header_an_outpost_does(host: str, port: str) -> None:
    if not attribute_problems({"ak_proxy": {"host_header": host + port}}) and host + port:
        assert parse_host((host + port).encode())
        assert parse_host(parse_host_header(host + port).encode())
