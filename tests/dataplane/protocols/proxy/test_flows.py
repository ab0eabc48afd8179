"""What is ours and never the application's, in whatever spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.flows import is_ours, normal_path

P = b"outpost.goauthentik.io"


@pytest.mark.parametrize(
    "target",
    [
        b"/%s" % P, b"/%s/" % P, b"/%s/start" % P, b"/%s?x" % P, b"/%s/nope/../x" % P, b"//%s/start" % P,
        b"/./%s/start" % P, b"/a/../%s/start" % P, b"/a/%%2e%%2e/%s/start" % P, b"/%2f" + P + b"/start",
        b"/outpost%2egoauthentik.io/start", b"/%6futpost.goauthentik.io/start", b"/%s%%2fstart" % P, b"\\" + P,
        b"/\\%s\\start" % P, b"/%s;x/start" % P, b"/;x/%s/start" % P, b"/a/..;/%s/start" % P, b"/%s\\start" % P,
        b"/Outpost.GoAuthentik.IO/start", b"/%s%%00/" % P, b"/%s%%3bx/" % P, b"/a%%2f..%%2f%s/start" % P,
        b"/?X-authentik-auth-callback=true", b"/a?b=c&X-authentik-logout=true", b"/?X-authentik-logout=false",
        b"/?x-authentik-LOGOUT=true", b"/?X%2dauthentik-logout=true",
        b"/?X-authentik-auth-callback=true&X-authentik-auth-callback=true",
        b"/?a;X-authentik-logout=true", b"/?X-authentik-logout",
        b"/" + b"a" * 600 + b"/../" + P + b"/start",
    ],
)  # fmt: skip
def test_is_ours(target: bytes) -> None:
    assert is_ours(target)


@pytest.mark.parametrize(
    "target",
    [
        b"/", b"/a/b", b"/%sx/start" % P, b"/x%s/start" % P, b"/a/%s/start" % P, b"/?rd=/%s/start" % P,
        b"/?next=?X-authentik-logout=true", b"/outpost.goauthentik", b"/%s.example/" % P, b"/x?%s" % P,
        b"/%s/../a/../b" % b"other", b"/?X-authentik-logouts=true", b"*",
    ],
)  # fmt: skip
def test_is_the_applications(target: bytes) -> None:
    assert not is_ours(target)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/", b"/"), (b"/a/b", b"/a/b"), (b"//a///b/", b"/a/b"), (b"/a/./b/../c", b"/a/c"), (b"/../../a", b"/a"),
        (b"/a;x=1/b;y", b"/a/b"), (b"/a\\b", b"/a/b"), (b"/%61%2fb", b"/a/b"), (b"/%252e", b"/%2e"),
        (b"/a/..;x/b", b"/b"),
    ],
)  # fmt: skip
def test_the_normal_form(path: bytes, normal: bytes) -> None:
    assert normal_path(path) == normal


@given(st.binary(max_size=60))
def test_the_normal_form_is_its_own(path: bytes) -> None:
    normal = normal_path(path.replace(b"%", b""))
    assert normal_path(normal.replace(b"%", b"")) == normal
    assert not {b"", b".", b".."} & set(normal[1:].split(b"/")[:-1])


@given(st.text(alphabet="/.%25feFEoutpst;\\", max_size=30))
def test_any_target_is_somebodys(text: str) -> None:
    assert is_ours(text.encode()) in {True, False}
