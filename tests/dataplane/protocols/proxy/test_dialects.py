import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.dialects import Check, find_dialect
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

AUTH = "/outpost.goauthentik.io/auth/"


def ask(dialect: str, *headers: tuple[str, str], host: str = "outpost", method: str = "GET") -> Check:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (("Host", host), *headers))
    session = HttpSession()
    session.receive(f"{method} {AUTH}{dialect} HTTP/1.1\r\n{lines}\r\n".encode())
    request = next(session.events())
    assert isinstance(request, Request)
    found = find_dialect(request.target)
    assert found is not None
    return found(request)


FORWARDED = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "App.test:443"), ("X-Forwarded-Uri", "/a?b=c"))


class TestForwarded:
    @pytest.mark.parametrize("dialect", ["traefik", "caddy"])
    def test_is_canonical(self, dialect: str) -> None:
        check = ask(dialect, *FORWARDED, ("X-Forwarded-Method", "POST"))
        assert check == Check(b"POST", "https", "app.test", b"/a?b=c", True)
        assert (check.path, check.query) == (b"/a", b"b=c")

    @pytest.mark.parametrize("missing", range(3))
    def test_missing_is_refused_by_name(self, missing: int) -> None:
        headers = FORWARDED[:missing] + FORWARDED[missing + 1 :]
        with pytest.raises(PeerError, match=FORWARDED[missing][0]):
            ask("traefik", *headers)

    @pytest.mark.parametrize("doubled", [*FORWARDED, ("X-Forwarded-Method", "GET")])
    def test_doubled_is_refused(self, doubled: tuple[str, str]) -> None:
        with pytest.raises(PeerError, match="more than one"):
            ask("traefik", *FORWARDED, ("X-Forwarded-Method", "GET"), doubled)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-Forwarded-Proto", "ftp"),
            ("X-Forwarded-Proto", "https,http"),
            ("X-Forwarded-Proto", ""),
            ("X-Forwarded-Host", "a, b"),
            ("X-Forwarded-Host", ""),
            ("X-Forwarded-Uri", "a"),
            ("X-Forwarded-Uri", ""),
            ("X-Forwarded-Uri", "/a b"),
            ("X-Forwarded-Uri", "/a#b"),
            ("X-Forwarded-Uri", "http://evil/"),
        ],
    )
    def test_malformed_is_refused(self, name: str, value: str) -> None:
        headers = tuple((key, value if key == name else old) for key, old in FORWARDED)
        with pytest.raises(PeerError):
            ask("traefik", *headers)

    def test_a_malformed_method_is_refused(self) -> None:
        with pytest.raises(PeerError, match="method"):
            ask("traefik", *FORWARDED, ("X-Forwarded-Method", "get it"))


class TestNginx:
    URL = ("X-Original-URL", "https://app.test/a?b=c")

    def test_takes_the_whole_url(self) -> None:
        assert ask("nginx", self.URL, host="app.test") == (b"GET", "https", "app.test", b"/a?b=c", False, ())

    def test_takes_the_path_with_the_host(self) -> None:
        check = ask("nginx", ("X-Original-URI", "/a"), ("X-Forwarded-Proto", "http"), host="app.test")
        assert check == (b"GET", "http", "app.test", b"/a", False, ())

    def test_without_either_is_refused(self) -> None:
        with pytest.raises(PeerError, match="X-Original-URL"):
            ask("nginx", *FORWARDED)

    @pytest.mark.parametrize(
        "value", ["/a", "ftp://a/", "https://", "https://a b/", "https://u@a/", "https://a/#b", "//a"]
    )
    def test_malformed_is_refused(self, value: str) -> None:
        with pytest.raises(PeerError):
            ask("nginx", ("X-Original-URL", value))

    def test_both_count_where_they_agree(self) -> None:
        assert ask("nginx", self.URL, ("X-Original-URI", "/a?b=c"), host="app.test").host == "app.test"

    @pytest.mark.parametrize("more", [(), (("X-Original-Method", "GET"),)])
    def test_another_host_beside_it_is_told(self, more: tuple[tuple[str, str], ...]) -> None:
        assert ask("nginx", self.URL, *more, host="other.test").rivals == ("other.test",)

    @pytest.mark.parametrize(
        ("values", "rivals"),
        [
            (["app.test"], ()),
            (["APP.test:443"], ()),
            (["other.test"], ("other.test",)),
            (["app.test, other.test"], ("other.test",)),
            (["other.test", "app.test"], ("other.test",)),
        ],
    )
    def test_so_is_one_in_x_forwarded_host(self, values: list[str], rivals: tuple[str, ...]) -> None:
        told = [("X-Forwarded-Host", value) for value in values]
        if len(told) > 1:
            told.append(("X-Original-Method", "GET"))
        assert ask("nginx", self.URL, *told, host="app.test").rivals == rivals

    @pytest.mark.parametrize(("uri", "host"), [("/public", "app.test"), ("/a?b=c", "other.test")])
    def test_a_client_can_not_add_the_other_one(self, uri: str, host: str) -> None:
        with pytest.raises(PeerError, match="contradict"):
            ask("nginx", self.URL, ("X-Original-URI", uri), host=host)


class TestEnvoy:
    def test_takes_the_request_itself(self) -> None:
        check = ask("envoy/a/b?c=d", ("X-Forwarded-Proto", "https"), host="app.test", method="PUT")
        assert check == (b"PUT", "https", "app.test", b"/a/b?c=d", True, ())

    @pytest.mark.parametrize(("suffix", "target"), [("", b"/"), ("?a=b", b"/?a=b"), ("/", b"/"), ("//x", b"//x")])
    def test_keeps_the_path_as_it_is(self, suffix: str, target: bytes) -> None:
        assert ask(f"envoy{suffix}", host="app.test").target == target

    def test_ignores_forwarded_hosts(self) -> None:
        assert ask("envoy/", *FORWARDED[1:], host="real.test").host == "real.test"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/outpost.goauthentik.io/auth/envoyx",
        b"/outpost.goauthentik.io/auth/nginx/x",
        b"/outpost.goauthentik.io/auth/",
        b"/outpost.goauthentik.io/auth/NGINX",
    ],
)
def test_other_paths_are_no_dialect(target: bytes) -> None:
    assert find_dialect(target) is None


@given(st.sampled_from(["traefik", "caddy", "nginx", "envoy"]), st.data())
def test_garbage_is_the_peers_fault_or_a_check(dialect: str, data: st.DataObject) -> None:
    values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
    names = ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Original-URL", "X-Original-URI",
             "X-Forwarded-Method"]  # fmt: skip
    headers = [(name, data.draw(values)) for name in names if data.draw(st.booleans())]
    try:
        check = ask(dialect, *headers, host="app.test")
    except PeerError as error:
        assert error.code == 400  # noqa: PT017  # either way out is a pass
        return
    assert check.target.startswith(b"/")
    assert check.host
