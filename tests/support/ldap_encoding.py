"""Requests as bytes, by the encoder of the tests' own (`ldap_ber`): what the codec must read again."""

from typing import assert_never

from dataplane.protocols.ldap.messages import (
    Abandon,
    Add,
    And,
    Approximate,
    Bind,
    Compare,
    Delete,
    Equality,
    Extended,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Malformed,
    Message,
    Modify,
    ModifyDn,
    Not,
    Or,
    Present,
    Request,
    Sasl,
    Search,
    Simple,
    Substrings,
    Unbind,
    Unknown,
)
from tests.support.ldap_ber import boolean, control, integer, message, octets, sequence, tlv


def encode(request: Message) -> bytes:
    """The whole message."""
    controls = [control(each.oid, each.value, critical=each.critical) for each in request.controls]
    return message(request.id, operation(request.request), *controls)


def operation(request: Request) -> bytes:  # noqa: C901, PLR0911  one line for each kind
    """The operation alone."""
    match request:
        case Search():
            return _search(request)
        case Bind(version=version, name=name, authentication=authentication):
            return sequence(integer(version), octets(name), _authentication(authentication), tag=0x60)
        case Compare(entry=entry, attribute=attribute, value=value):
            return sequence(octets(entry), sequence(octets(attribute), octets(value)), tag=0x6E)
        case Extended(oid=oid, value=value):
            return sequence(octets(oid, 0x80), *([] if value is None else [octets(value, 0x81)]), tag=0x77)
        case Modify(entry=entry):
            return sequence(octets(entry), sequence(), tag=0x66)
        case Add(entry=entry):
            return sequence(octets(entry), sequence(), tag=0x68)
        case ModifyDn(entry=entry):
            return sequence(octets(entry), octets("cn=y"), boolean(True), tag=0x6C)
        case Delete(entry=entry):
            return octets(entry, 0x4A)
        case Abandon(message_id=number):
            return integer(number, 0x50)
        case Unbind():
            return tlv(0x42, b"")
        case Malformed():
            raise ValueError("a malformed request has no one encoding")
        case _:
            assert_never(request)


def _authentication(choice: Simple | Sasl | None) -> bytes:
    match choice:
        case Simple(password=password):
            return octets(password, 0x80)
        case Sasl(mechanism=mechanism, credentials=credentials):
            rest = [] if credentials is None else [octets(credentials)]
            return sequence(octets(mechanism), *rest, tag=0xA3)
        case None:
            return octets("x", 0x8A)


def _search(search: Search) -> bytes:
    return sequence(
        octets(search.base),
        integer(search.scope, 0x0A),
        integer(search.dereference, 0x0A),
        integer(search.size_limit),
        integer(search.time_limit),
        boolean(search.types_only),
        _filter(search.filter),
        sequence(*(octets(attribute) for attribute in search.attributes)),
        tag=0x63,
    )


_ASSERTIONS: dict[type[Filter], int] = {Equality: 0xA3, GreaterOrEqual: 0xA5, LessOrEqual: 0xA6, Approximate: 0xA8}


def _filter(condition: Filter) -> bytes:  # noqa: PLR0911  one line for each kind
    match condition:
        case And(filters=filters):
            return sequence(*map(_filter, filters), tag=0xA0)
        case Or(filters=filters):
            return sequence(*map(_filter, filters), tag=0xA1)
        case Not(filter=of):
            return tlv(0xA2, _filter(of))
        case Present(attribute=attribute):
            return octets(attribute, 0x87)
        case Equality() | GreaterOrEqual() | LessOrEqual() | Approximate():
            tag = _ASSERTIONS[type(condition)]
            return sequence(octets(condition.attribute), octets(condition.value), tag=tag)
        case Substrings():
            return _substrings(condition)
        case Extensible():
            return _extensible(condition)
        case Unknown(tag=tag):
            return tlv(tag, b"?")
        case _:
            assert_never(condition)


def _substrings(condition: Substrings) -> bytes:
    pieces = [] if condition.initial is None else [octets(condition.initial, 0x80)]
    pieces += [octets(each, 0x81) for each in condition.any]
    pieces += [] if condition.final is None else [octets(condition.final, 0x82)]
    return sequence(octets(condition.attribute), sequence(*pieces), tag=0xA4)


def _extensible(condition: Extensible) -> bytes:
    parts = [] if condition.rule is None else [octets(condition.rule, 0x81)]
    parts += [] if condition.attribute is None else [octets(condition.attribute, 0x82)]
    parts += [octets(condition.value, 0x83)]
    parts += [boolean(True, 0x84)] if condition.dn_attributes else []
    return sequence(*parts, tag=0xA9)
