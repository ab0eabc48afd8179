"""Whatever a client sends in mode proxy: what goes on was judged as it is, and says nothing that only we may say."""

from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from dataplane.io.connection import Connection
from dataplane.protocols.proxy.backend import Backend
from dataplane.protocols.proxy.flows import is_ours, normal_path
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.relay.exchange import Exchange, Outcome
from dataplane.protocols.proxy.session import HttpSession
from tests.dataplane.protocols.proxy.builders import WIKI, Outpost, session
from tests.dataplane.protocols.proxy.standing import standing_before

PROVIDER = standing_before("http://10.0.0.5", provider=replace(WIKI, skip_path_regex=("^/public/",)))
PIECES = (
    "/", "//", ".", "..", ";", "\\", "%2e", "%2E", "%2f", "%5c", "%3b", "%00", "%25", "%252e", "?", "&", "=", "a",
    "public", "%70ublic", "Public", "admin", "outpost.goauthentik.io", "outpost%2egoauthentik.io", "start", "callback",
    "X-authentik-logout=true", "x-authentik-auth-callback=true", "*", "@", ":",
)  # fmt: skip
TARGETS = st.builds(
    lambda start, pieces: start + "".join(pieces),
    st.sampled_from(("/", "/public/")),
    st.lists(st.sampled_from(PIECES), max_size=8),
)
NAMES = st.sampled_from(
    (
        "X-authentik-username", "x-AUTHENTIK-groups", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded",
        "X-Request-Id", "X-Original-URL", "X-Rewrite-URL", "Remote-User", "Cookie", "Connection", "Via", "TE", "Accept",
        "X_Odd", "X.Odd", "Authorization", "Upgrade", "Proxy", "Expect",
    )
)  # fmt: skip
VALUES = st.sampled_from(
    (
        "evil", "evil, close", "X-authentik-username", "x-forwarded-for, via, host, cookie", "", "6.6.6.6", "/admin",
        "authentik_proxy_x=evil; a=b", "a=b; AUTHENTIK_PROXY_x=evil", "text/html", "websocket", "1.1 evil",
        "100-continue",
    )
)  # fmt: skip
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
OURS = (
    "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "via",
    "x-request-id",
)  # fmt: skip


class Recorder:
    """Stands in for the relay: what goes on to the application."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    def forward(self, _: Request, __: HttpSession, ___: Connection[object], exchange: Exchange) -> Outcome:
        self.heads.append(exchange.onward.head)
        return Outcome(status=200)


def outpost() -> tuple[Outpost, Recorder]:
    made, recorder = Outpost(PROVIDER, trusted=()), Recorder()
    (application,) = made.doors.routes.applications
    assert isinstance(application.backend, Backend)
    application.backend.relay = recorder  # type: ignore[assignment]  # the part of it that is used
    return made, recorder


OUTPOST, RECORDER = outpost()
SESSIONS = count()


def onward(target: str, headers: list[tuple[str, str]], *, signed_in: bool) -> bytes | None:
    """The head that goes on, if one does."""
    RECORDER.heads.clear()
    # Another one each time: some of these targets sign out.
    cookie = OUTPOST.cookie(session(id=f"s{next(SESSIONS)}"))
    lines = [*headers, *((("Cookie", cookie),) if signed_in else ())]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    OUTPOST.exchange(f"GET {target} HTTP/1.1\r\nHost: wiki.example.com\r\n{text}\r\n".encode())
    assert len(RECORDER.heads) <= 1
    return RECORDER.heads[0] if RECORDER.heads else None


@given(TARGETS, HEADERS)
def test_what_nobody_signed_in_for_is_open_in_every_reading(target: str, headers: list[tuple[str, str]]) -> None:
    head = onward(target, headers, signed_in=False)
    if head is not None:
        path = target.partition("?")[0].encode()
        assert head.startswith(b"GET " + target.encode() + b" HTTP/1.1\r\n")
        assert path.startswith(b"/public/")
        assert normal_path(path).startswith(b"/public/") or normal_path(path) == b"/public"
        assert b"\r\nX-authentik-username: " not in head


@given(TARGETS, HEADERS)
def test_what_goes_on_is_what_was_sent_and_ours_alone_to_say(target: str, headers: list[tuple[str, str]]) -> None:
    head = onward(target, headers, signed_in=True)
    if head is None:
        return
    assert head.startswith(b"GET " + target.encode() + b" HTTP/1.1\r\n")
    assert not is_ours(target.encode())
    fields = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:-1]]
    names = [name.decode().lower() for name, _ in fields]
    values = {name.decode().lower(): value.decode() for name, value in fields}
    assert all(names.count(name) == 1 for name in OURS)
    assert (values["x-authentik-username"], values["x-forwarded-for"]) == ("alice", "127.0.0.1")
    assert names.count("x-authentik-username") == names.count("x-authentik-groups") == 1
    assert "authentik_proxy" not in values.get("cookie", "").lower()
    assert not {"connection", "te", "upgrade", "expect", "proxy", "remote-user", "x-original-url", "forwarded"} & {
        *names
    }
    assert not any(name.startswith(("x_", "x.")) for name in names)
    assert all(value != "evil" for name, value in values.items() if name in OURS and name != "via")
