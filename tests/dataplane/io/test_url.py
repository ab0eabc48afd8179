import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.io.dial import TcpAddress, UnixAddress
from dataplane.io.url import parse_upstream

GOOD = [
    # text, host, port, path, Host
    ("http://app", "app", 80, "", "app"),
    ("HTTP://App.Example/", "app.example", 80, "", "app.example"),
    ("http://app:80", "app", 80, "", "app"),
    ("http://app:8080/", "app", 8080, "", "app:8080"),
    ("https://app", "app", 443, "", "app"),
    ("https://app:80", "app", 80, "", "app:80"),
    ("http://my_app-1:3000/base/", "my_app-1", 3000, "/base", "my_app-1:3000"),
    ("http://app/a/b%20c;d=1", "app", 80, "/a/b%20c;d=1", "app"),
    ("http://app.example.:1", "app.example.", 1, "", "app.example:1"),
    ("http://10.0.0.7:65535", "10.0.0.7", 65535, "", "10.0.0.7:65535"),
    ("http://[::1]", "::1", 80, "", "[::1]"),
    ("https://[2001:DB8:0::1]:8443/x", "2001:db8::1", 8443, "/x", "[2001:db8::1]:8443"),
    ("http://[fe80::1%25eth0]:81", "fe80::1%eth0", 81, "", "[fe80::1]:81"),
    ("http://xn--bcher-kva.example", "xn--bcher-kva.example", 80, "", "xn--bcher-kva.example"),
    ("http://1.app", "1.app", 80, "", "1.app"),
]
BAD = [
    ("", "expected http://host:port"),
    ("app:8080", "expected http://host:port"),
    ("//app", "expected http://host:port"),
    ("ftp://app", "expected http://host:port"),
    ("http:/app", "expected http://host:port"),
    (" http://app", "expected http://host:port"),
    ("http://", "name or address of a host"),
    ("http:///x", "name or address of a host"),
    ("http://:80", "name or address of a host"),
    ("http://a b", "name or address of a host"),
    ("http://app\n", "name or address of a host"),
    ("http://app\\x", "name or address of a host"),
    ("http://-app", "name or address of a host"),
    ("http://a..b", "name or address of a host"),
    ("http://" + "a" * 64, "name or address of a host"),
    ("http://" + "a." * 127 + "a", "name or address of a host"),
    ("http://app?x=/", "name or address of a host"),
    ("http://%61pp", "name or address of a host"),
    ("http://bücher.example", "ASCII form"),
    ("http://user:secret@app", "credentials"),
    ("http://127.1", "no IPv4 address"),
    ("http://2130706433", "no IPv4 address"),
    ("http://0x7f.1", "no IPv4 address"),
    ("http://127.0.0.256", "no IPv4 address"),
    ("http://127.0.0.01", "no IPv4 address"),
    ("http://a.0x", "no IPv4 address"),
    ("http://[::1", "brackets"),
    ("http://[::1]x", "brackets"),
    ("http://[app]", "no IPv6 address"),
    ("http://[::1%eth0]", "no IPv6 address"),
    ("http://[::1%25]", "name of an interface"),
    ("http://::1", "name or address of a host"),
    ("http://app:", "is no port"),
    ("http://app:0", "is no port"),
    ("http://app:65536", "is no port"),
    ("http://app:+80", "is no port"),
    ("http://app:٣", "is no port"),
    ("http://app/?x", "neither a query"),
    ("http://app/#x", "neither a query"),
    ("http://app/a b", "URL encoding"),
    ("http://app/%zz", "URL encoding"),
    ("http://app/a\r\nX: y", "URL encoding"),
    ("http://app/ä", "URL encoding"),
    ("http://app/a/../b", "without . and .."),
    ("http://app/%2E./b", "without . and .."),
    ("http://app/.", "without . and .."),
    ("unix://run/app.sock", "three slashes"),
    ("unix://", "path of a socket"),
    ("unix:///", "path of a socket"),
    ("unix:///" + "x" * 107, "path of a socket"),
    ("unix:///a\0b", "path of a socket"),
]


@pytest.mark.parametrize(("text", "host", "port", "path", "shown"), GOOD)
def test_what_is_meant(text: str, host: str, port: int, path: str, shown: str) -> None:
    url = parse_upstream(text)
    assert url.address == TcpAddress(host=host, port=port)
    assert (url.text, url.path, url.host) == (text, path, shown)
    assert url.scheme == text.partition(":")[0].lower()


def test_a_unix_socket() -> None:
    url = parse_upstream("unix:///run/app 1.sock")
    assert (url.scheme, url.address) == ("unix", UnixAddress(path="/run/app 1.sock"))
    assert (url.path, url.host) == ("", "localhost")


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_not_understood_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        parse_upstream(text)
    assert str(error.value).startswith(repr(text))


@given(st.text() | st.text("htps:/unix[]@%.0127a-_?#").map(lambda rest: "http://" + rest))
def test_anything_is_understood_or_refused_with_a_value_error(text: str) -> None:
    try:
        url = parse_upstream(text)
    except ValueError:
        return
    match url.address:
        case TcpAddress(host=host, port=port):
            assert host
            assert host.isascii()
            assert not set(host) & set(" /?#@[]\\\r\n\0")
            assert 0 < port < 65536
            assert not url.path.endswith("/")
            assert not url.path or url.path.startswith("/")
        case UnixAddress(path=path):
            assert path.startswith("/")


labels = st.from_regex(r"[a-z_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join) | st.ip_addresses(v=4).map(str)
paths = st.lists(st.from_regex(r"[A-Za-z0-9_~-]{1,8}", fullmatch=True), max_size=3).map(
    lambda each: "".join("/" + segment for segment in each)
)


schemes = st.sampled_from(["http", "https"])


@given(schemes, hosts | st.ip_addresses(v=6).map("[{}]".format), st.integers(1, 65535), paths)
def test_what_is_written_plainly_comes_back(scheme: str, host: str, port: int, path: str) -> None:
    url = parse_upstream(f"{scheme}://{host}:{port}{path}")
    assert (url.scheme, url.address, url.path) == (scheme, TcpAddress(host=host.strip("[]"), port=port), path)
    assert parse_upstream(f"{scheme}://{url.host}").address == url.address
