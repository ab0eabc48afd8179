"""Which of a host's paths and queries belong to the outpost, and what it does there: start, callback, sign out.

In mode proxy this decides what an application may never see. So it errs towards ours: whatever an application, or
another outpost behind us, might read as our prefix stays here, and only the exact spelling is served.
"""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.dialects import PREFIX
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.signin import SignIn
from dataplane.protocols.proxy.signout import SignOut

_CALLBACK = b"X-authentik-auth-callback"
_LOGOUT = b"X-authentik-logout"
_SIGNATURES = frozenset({_CALLBACK.lower(), _LOGOUT.lower()})

Step = Callable[[Application, Asking], Response]


class Flows:
    """The steps of signing in and out."""

    def __init__(self, sign_in: SignIn, sign_out: SignOut) -> None:
        self._sign_in = sign_in
        self._sign_out = sign_out

    def find_step(self, asking: Asking) -> Step | None:
        """What to do for this request, if it is one of ours: by its path, or by authentik's signature on its query."""
        path, _, query = asking.target.encode("latin-1").partition(b"?")
        if _is_signed(query, _CALLBACK) or path == PREFIX + b"/callback":
            return self._sign_in.callback
        if _is_signed(query, _LOGOUT) or path == PREFIX + b"/sign_out":
            # A person goes there, or a form of the application posts. Previews, scanners and images (that anybody can
            # put into a page) sign nobody out.
            goes = asking.method == b"POST" or (asking.method == b"GET" and asking.navigates)
            return self._sign_out.end if goes else None
        return self._sign_in.start if path == PREFIX + b"/start" else None


def _is_signed(query: bytes, name: bytes) -> bool:
    """Whether authentik's query signature `name` stands in the query, on whatever path."""
    if name not in query:
        return False
    return [field for field in query.split(b"&") if field.startswith(name + b"=")] == [name + b"=true"]


def is_ours(target: bytes) -> bool:
    """Whether a request target is none of the application's, in whatever spelling."""
    plain = unquote_to_bytes(target) if b"%" in target else target
    if b"authentik" not in plain.lower():  # nothing but decoding makes letters
        return False
    path, _, query = target.partition(b"?")
    if _is_below_prefix(path) or _is_below_prefix(normal_path(path)):
        return True
    names = (unquote_to_bytes(field.partition(b"=")[0]).lower() for field in query.replace(b";", b"&").split(b"&"))
    return any(name in _SIGNATURES for name in names)


def _is_below_prefix(path: bytes) -> bool:
    path = path.lower()
    return path.startswith(PREFIX) and path[len(PREFIX) : len(PREFIX) + 1] in {b"", b"/", b";", b"\\", b"%", b"#"}


def normal_path(path: bytes) -> bytes:
    """A path as a generous reader may see it, which is nobody's business but that of comparing.

    Percent-decoded once, backslashes as slashes, without parameters behind `;`, with `//` merged and dot segments
    followed (RFC 3986 section 5.2.4).
    """
    kept: list[bytes] = []
    for segment in unquote_to_bytes(path).replace(b"\\", b"/").split(b"/"):
        name = segment.partition(b";")[0]
        if name == b"..":
            del kept[-1:]
        elif name not in {b"", b"."}:
            kept.append(name)
    return b"/" + b"/".join(kept)
