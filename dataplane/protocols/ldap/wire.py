"""LDAP messages to and from their bytes (RFC 4511): requests are read, responses and entries are written.

`decode_message` takes one whole LDAPMessage. What breaks the encoding raises PeerError and ends the session; what is
soundly encoded but wrong comes as a Malformed request with the answer it gets (section 4.1.1). Components that a later
version may have added behind those of a SEQUENCE are ignored (section 4), as are unknown authentication choices and
filters in their own way. Plain code on purpose: it runs compiled by mypyc where a compiler is at hand.
"""

from collections.abc import Callable, Sequence
from typing import Final

from dataplane.protocols.ldap import ber
from dataplane.protocols.ldap.ber import BOOLEAN, ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, Reader, broken, element
from dataplane.protocols.ldap.faults import Unfit
from dataplane.protocols.ldap.filterwire import decode_filter
from dataplane.protocols.ldap.messages import (
    SUCCESS,
    Abandon,
    Add,
    AddResponse,
    Bind,
    BindResponse,
    Compare,
    CompareResponse,
    Control,
    Delete,
    DeleteResponse,
    Extended,
    ExtendedResponse,
    Malformed,
    Message,
    Modify,
    ModifyDn,
    ModifyDnResponse,
    ModifyResponse,
    Request,
    Response,
    Result,
    ResultCode,
    Sasl,
    Scope,
    Search,
    SearchDone,
    Simple,
    Unbind,
)

MAX_INT: Final = 2**31 - 1
"""RFC 4511's maxInt: of message ids and limits."""
MAX_CONTROLS: Final = 32
MAX_ATTRIBUTES: Final = 500
"""Attributes that one search may ask for."""

_BIND: Final = 0x60
_UNBIND: Final = 0x42
_SEARCH: Final = 0x63
_SEARCH_ENTRY: Final = 0x64
_MODIFY: Final = 0x66
_ADD: Final = 0x68
_DELETE: Final = 0x4A
_MODIFY_DN: Final = 0x6C
_COMPARE: Final = 0x6E
_ABANDON: Final = 0x50
_EXTENDED: Final = 0x77
_CONTROLS: Final = 0xA0
_SIMPLE: Final = 0x80
_SASL: Final = 0xA3
_REQUEST_NAME: Final = 0x80
_REQUEST_VALUE: Final = 0x81
_RESPONSE_NAME: Final = 0x8A
_RESPONSE_VALUE: Final = 0x8B
_CONTEXT_CLASS: Final = 0x80
_CLASS: Final = 0xC0

_SCOPES: Final = (Scope.BASE, Scope.ONE_LEVEL, Scope.SUBTREE, Scope.SUBORDINATES)
_DEREFERENCES: Final = 4

_RESPONSES: Final[dict[int, Callable[[Result], Response]]] = {
    _BIND: BindResponse,
    _SEARCH: SearchDone,
    _MODIFY: ModifyResponse,
    _ADD: AddResponse,
    _DELETE: DeleteResponse,
    _MODIFY_DN: ModifyDnResponse,
    _COMPARE: CompareResponse,
    _EXTENDED: lambda result: ExtendedResponse(result=result),
}
"""What answers a request."""

_TAGS: Final[dict[type[Response], int]] = {
    BindResponse: 0x61,
    SearchDone: 0x65,
    ModifyResponse: 0x67,
    AddResponse: 0x69,
    DeleteResponse: 0x6B,
    ModifyDnResponse: 0x6D,
    CompareResponse: 0x6F,
    ExtendedResponse: 0x78,
}


def decode_message(data: bytes) -> Message:
    """Read one whole message. Raises PeerError with protocolError where the session can't go on."""
    reader = Reader(data)
    outer = reader.open(SEQUENCE)
    if reader.end != outer:
        raise broken(f"{outer - reader.end} octets behind the message")
    message_id = reader.integer(INTEGER)
    if message_id < 1 or message_id > MAX_INT:
        raise broken("a message id out of range")
    operation = reader.peek()
    try:
        request = _decode_request(reader, operation)
        controls = _decode_controls(reader) if reader.more() else ()
    except Unfit as fault:
        return Message(id=message_id, request=_malformed(operation, fault))
    return Message(id=message_id, request=request, controls=controls)


def _malformed(operation: int, fault: Unfit) -> Malformed:
    respond = _RESPONSES.get(operation)
    if respond is None:  # of an operation without a response
        raise broken(fault.reason)
    result = Result(code=ResultCode(fault.code), diagnostic=fault.reason)
    return Malformed(response=respond(result), limit=fault.limit)


def _decode_request(reader: Reader, operation: int) -> Request:
    decode = _DECODERS.get(operation)
    if decode is None:
        raise broken("no request" if operation < 0 else f"tag {operation:#04x} is no request")
    return decode(reader)


def _decode_search(reader: Reader) -> Search:
    outer = reader.open(_SEARCH)
    base = reader.text(OCTET_STRING)
    scope = reader.integer(ENUMERATED)
    dereference = reader.integer(ENUMERATED)
    size_limit = reader.integer(INTEGER)
    time_limit = reader.integer(INTEGER)
    types_only = reader.boolean(BOOLEAN)
    if scope < 0 or scope >= len(_SCOPES):
        raise Unfit("an unknown scope")
    if dereference < 0 or dereference >= _DEREFERENCES:
        raise Unfit("an unknown way to dereference aliases")
    if size_limit < 0 or size_limit > MAX_INT or time_limit < 0 or time_limit > MAX_INT:
        raise Unfit("a limit out of range")
    condition = decode_filter(reader)
    attributes = _decode_attributes(reader)
    reader.close(outer, b"\x04\x0a\x02\x01\x30")
    return Search(
        base=base,
        scope=_SCOPES[scope],
        dereference=dereference,
        size_limit=size_limit,
        time_limit=time_limit,
        types_only=types_only,
        filter=condition,
        attributes=attributes,
    )


def _decode_attributes(reader: Reader) -> tuple[str, ...]:
    outer = reader.open(SEQUENCE)
    attributes: list[str] = []
    while reader.more():
        if len(attributes) == MAX_ATTRIBUTES:
            raise Unfit(
                f"more than {MAX_ATTRIBUTES} attributes", code=ResultCode.ADMIN_LIMIT_EXCEEDED, limit="attributes"
            )
        attributes.append(reader.text(OCTET_STRING))
    reader.close(outer, b"")
    return tuple(attributes)


def _decode_bind(reader: Reader) -> Bind:
    outer = reader.open(_BIND)
    version = reader.integer(INTEGER)
    name = reader.text(OCTET_STRING)
    authentication = _decode_authentication(reader)
    reader.close(outer, b"\x02\x04\x80\xa3")
    return Bind(version=version, name=name, authentication=authentication)


def _decode_authentication(reader: Reader) -> Simple | Sasl | None:
    """The choice; those unknown are for the handler to refuse (section 4.2)."""
    choice = reader.peek()
    if choice == _SIMPLE:
        return Simple(reader.octets(_SIMPLE))
    if choice == _SASL:
        outer = reader.open(_SASL)
        mechanism = reader.text(OCTET_STRING)
        credentials = reader.octets(OCTET_STRING) if reader.peek() == OCTET_STRING else None
        reader.close(outer, b"\x04")
        return Sasl(mechanism=mechanism, credentials=credentials)
    if choice < 0 or choice & _CLASS != _CONTEXT_CLASS:
        raise broken("no authentication choice")
    reader.skip()
    return None


def _decode_compare(reader: Reader) -> Compare:
    outer = reader.open(_COMPARE)
    entry = reader.text(OCTET_STRING)
    assertion = reader.open(SEQUENCE)
    attribute = reader.text(OCTET_STRING)
    value = reader.octets(OCTET_STRING)
    reader.close(assertion, b"\x04")
    reader.close(outer, b"\x04\x30")
    return Compare(entry=entry, attribute=attribute, value=value)


def _decode_extended(reader: Reader) -> Extended:
    outer = reader.open(_EXTENDED)
    oid = reader.text(_REQUEST_NAME)
    value = reader.octets(_REQUEST_VALUE) if reader.peek() == _REQUEST_VALUE else None
    reader.close(outer, b"\x80\x81")
    return Extended(oid=oid, value=value)


def _decode_unbind(reader: Reader) -> Unbind:
    if reader.octets(_UNBIND):
        raise broken("an unbind request with contents")
    return Unbind()


def _decode_abandon(reader: Reader) -> Abandon:
    return Abandon(reader.integer(_ABANDON))


# Operations that are refused: only what they are about is read, the rest is walked over.


def _decode_delete(reader: Reader) -> Delete:
    return Delete(reader.text(_DELETE))


def _decode_modify(reader: Reader) -> Modify:
    return Modify(_decode_entry(reader, _MODIFY))


def _decode_add(reader: Reader) -> Add:
    return Add(_decode_entry(reader, _ADD))


def _decode_modify_dn(reader: Reader) -> ModifyDn:
    return ModifyDn(_decode_entry(reader, _MODIFY_DN))


def _decode_entry(reader: Reader, operation: int) -> str:
    outer = reader.open(operation)
    entry = reader.text(OCTET_STRING)
    reader.close(outer, b"")
    return entry


_DECODERS: Final[dict[int, Callable[[Reader], Request]]] = {
    _SEARCH: _decode_search,
    _BIND: _decode_bind,
    _EXTENDED: _decode_extended,
    _COMPARE: _decode_compare,
    _UNBIND: _decode_unbind,
    _ABANDON: _decode_abandon,
    _DELETE: _decode_delete,
    _MODIFY: _decode_modify,
    _ADD: _decode_add,
    _MODIFY_DN: _decode_modify_dn,
}


def _decode_controls(reader: Reader) -> tuple[Control, ...]:
    controls: list[Control] = []
    if reader.peek() == _CONTROLS:
        outer = reader.open(_CONTROLS)
        while reader.more():
            if len(controls) == MAX_CONTROLS:
                raise Unfit(
                    f"more than {MAX_CONTROLS} controls", code=ResultCode.ADMIN_LIMIT_EXCEEDED, limit="controls"
                )
            controls.append(_decode_control(reader))
        reader.close(outer, b"")
    reader.close(reader.end, b"\x02\xa0")
    return tuple(controls)


def _decode_control(reader: Reader) -> Control:
    outer = reader.open(SEQUENCE)
    oid = reader.text(OCTET_STRING)
    critical = reader.peek() == BOOLEAN and reader.boolean(BOOLEAN)
    value = reader.octets(OCTET_STRING) if reader.peek() == OCTET_STRING else None
    reader.close(outer, b"\x04\x01")
    return Control(oid=oid, critical=critical, value=value)


# Responses.


def encode_response(message_id: int, response: Response, controls: tuple[Control, ...] = ()) -> bytes:
    """One whole message with a response, to send as it is."""
    contents = ber.integer(INTEGER, message_id) + _encode_operation(response)
    if controls:
        contents += element(_CONTROLS, b"".join([_encode_control(control) for control in controls]))
    return element(SEQUENCE, contents)


def _encode_operation(response: Response) -> bytes:
    if response == _DONE:
        return _ENCODED_DONE
    contents = _encode_result(response.result)
    if isinstance(response, ExtendedResponse):
        if response.oid is not None:
            contents += element(_RESPONSE_NAME, response.oid.encode())
        if response.value is not None:
            contents += element(_RESPONSE_VALUE, response.value)
    return element(_TAGS[type(response)], contents)


def _encode_result(result: Result) -> bytes:
    return (
        ber.integer(ENUMERATED, result.code)
        + element(OCTET_STRING, result.matched_dn.encode())
        + element(OCTET_STRING, result.diagnostic.encode())
    )


_DONE: Final = SearchDone(SUCCESS)
_ENCODED_DONE: Final = element(_TAGS[SearchDone], _encode_result(SUCCESS))
"""What ends most operations, encoded once."""


def _encode_control(control: Control) -> bytes:
    """A default value isn't sent (section 5.1)."""
    contents = element(OCTET_STRING, control.oid.encode())
    if control.critical:
        contents += ber.boolean(BOOLEAN, True)
    if control.value is not None:
        contents += element(OCTET_STRING, control.value)
    return element(SEQUENCE, contents)


# Entries, which are encoded ahead of time.


def entry_message(message_id: int, operation: bytes) -> bytes:
    """One whole message around a SearchResultEntry that `encode_entry` made."""
    return element(SEQUENCE, ber.integer(INTEGER, message_id) + operation)


def encode_entry(dn: bytes, attributes: bytes) -> bytes:
    """A SearchResultEntry of the attributes that `encode_attribute` made, one behind the other."""
    return element(_SEARCH_ENTRY, element(OCTET_STRING, dn) + element(SEQUENCE, attributes))


def encode_attribute(name: bytes, values: Sequence[bytes]) -> bytes:
    """A PartialAttribute."""
    return encode_values(name, b"".join([element(OCTET_STRING, value) for value in values]))


def encode_values(name: bytes, values: bytes) -> bytes:
    """A PartialAttribute of values that are encoded already, one behind the other."""
    return element(SEQUENCE, element(OCTET_STRING, name) + element(ber.SET, values))


def select(attributes: bytes, wanted: frozenset[bytes], types_only: bool) -> bytes:
    """Those of the attributes whose lower-case type is wanted, without their values where only types are asked for."""
    reader = Reader(attributes)
    kept: list[bytes] = []
    while reader.more():
        start = reader.position
        outer = reader.open(SEQUENCE)
        name = reader.octets(OCTET_STRING)
        if name.lower() in wanted:
            kept.append(encode_attribute(name, ()) if types_only else attributes[start : reader.end])
        reader.position = reader.end
        reader.end = outer
    return b"".join(kept)
