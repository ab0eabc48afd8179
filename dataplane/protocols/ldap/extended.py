"""Extended operations (RFC 4511 section 4.12): who am I (RFC 4532), another password (RFC 3062), StartTLS, notices."""

from dataplane.gate import Channel, Gate, PasswordChange, PasswordChanged, PasswordRefusal, Unavailable
from dataplane.protocols.ldap.binding import BUSY, UNAVAILABLE, Bound
from dataplane.protocols.ldap.messages import SUCCESS, ExtendedResponse, PasswordModify, Result, ResultCode
from dataplane.protocols.ldap.tree import Tree, Viewer
from dataplane.protocols.ldap.values import decode_password_modify, encode_generated_password
from dataplane.protocols.ldap.wire import encode_response
from dataplane.sansio import PeerError

NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"

_WRONG = Result(code=ResultCode.INVALID_CREDENTIALS, diagnostic="the present password is wrong")
_REFUSALS = {
    PasswordRefusal.INVALID_CREDENTIALS: _WRONG,
    # A lockout doesn't tell itself.
    PasswordRefusal.LOCKED_OUT: _WRONG,
    PasswordRefusal.BUSY: BUSY,
    PasswordRefusal.UNSUITABLE: Result(
        code=ResultCode.CONSTRAINT_VIOLATION, diagnostic="the new password is too short, too common or otherwise unfit"
    ),
    PasswordRefusal.ACCESS_DENIED: Result(
        code=ResultCode.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="you may not change this password"
    ),
}
_NOT_OWN = Result(code=ResultCode.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="only one's own password can be changed")
_NO_PRESENT = Result(
    code=ResultCode.UNWILLING_TO_PERFORM, diagnostic="the present password has to be given (ldappasswd -A)"
)
_UNFIT = Result(code=ResultCode.CONSTRAINT_VIOLATION, diagnostic="the new password is empty or no UTF-8")


def notice(code: ResultCode, text: str) -> bytes:
    """The notice of disconnection, RFC 4511 section 4.4.1, whole."""
    response = ExtendedResponse(result=Result(code=code, diagnostic=text), oid=NOTICE_OF_DISCONNECTION)
    return encode_response(0, response)


def who_am_i(name: str, bound: Bound | None) -> ExtendedResponse:
    """The authorization identity (RFC 4513 section 5.2.1.8), empty for nobody; by username where there is no DN yet."""
    if bound is None:
        return ExtendedResponse(result=SUCCESS, value=b"")
    identity = f"dn:{name}" if name else f"u:{bound.session.identity.username}"
    return ExtendedResponse(result=SUCCESS, value=identity.encode())


def change_password(gate: Gate, viewer: Viewer, bound: Bound, value: bytes | None, client: str) -> ExtendedResponse:
    """Ask control for another password of whoever is bound. Blocks."""
    try:
        asked = decode_password_modify(value)
    except PeerError as error:
        return ExtendedResponse(result=Result(code=ResultCode(error.code), diagnostic=error.reason))
    change = _read(asked, viewer, bound, client)
    if isinstance(change, Result):
        return ExtendedResponse(result=change)
    match gate.change_password(change):
        case PasswordChanged(generated=generated):
            given = encode_generated_password(generated.encode()) if change.wanted is None else None
            return ExtendedResponse(result=SUCCESS, value=given)
        case PasswordRefusal() as refusal:
            return ExtendedResponse(result=_REFUSALS[refusal])
        case Unavailable():
            return ExtendedResponse(result=UNAVAILABLE)


def _read(asked: PasswordModify, viewer: Viewer, bound: Bound, client: str) -> PasswordChange | Result:
    # Who was renamed since the bind goes by the new name: the old one may be somebody else's by now.
    username = viewer.username or bound.session.identity.username
    if asked.identity and _find_username(asked.identity, viewer.place.tree) != username:
        return _NOT_OWN
    # Whoever came by an app password has not shown that the password is theirs to change.
    if not asked.old:
        return _NO_PRESENT
    present, wanted = _find_text(asked.old), _find_text(asked.new or b"")
    if present is None:
        return _WRONG
    if wanted is None or asked.new == b"":
        return _UNFIT
    return PasswordChange(
        provider=bound.provider,
        channel=Channel.LDAP,
        username=username,
        present=present,
        wanted=wanted or None,
        client_address=client,
    )


def _find_text(value: bytes) -> str | None:
    """Passwords are UTF-8 (RFC 4513 section 5.1)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _find_username(identity: str, tree: Tree) -> str | None:
    """Of a DN, or of an authorization identity in either form (RFC 4513 section 5.2.1.8)."""
    if identity.startswith("u:"):
        return identity.removeprefix("u:")
    try:
        return tree.bind_name(identity.removeprefix("dn:"))
    except ValueError:
        return None
