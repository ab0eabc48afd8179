"""What the directory's users and groups are as LDAP entries: attributes and their values.

What refers to other entries (memberOf, member, uniqueMember, memberUid, and whether a user is a superuser) the tree
adds, and nothing here holds a DN, so that one description serves under every base DN. Of the attributes in JSON only
what the provider's mappings name is shown: text, numbers, booleans and lists of those; what is not of the attribute's
syntax is left out, so that an entry is always valid. Nothing here raises because of what a user or group says.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID, uuid5

from dataplane.config import AttributeMapping, DirectoryEntry, DirectoryGroup, DirectoryUser, LdapProvider
from dataplane.protocols.ldap import dn, syntaxes
from dataplane.protocols.ldap.classes import (
    CONTAINERS,
    GROUP_CLASSES,
    GROUP_STRUCTURE,
    OTHER_CONTAINER,
    USER_CLASSES,
    USER_STRUCTURE,
    VIRTUAL_GROUP_CLASSES,
)
from dataplane.protocols.ldap.schema import Attributes, AttributeType, Schema
from dataplane.protocols.ldap.schema_types import TYPE_BY_NAME

SUBSCHEMA_DN = "cn=subschema"

# Ids of what has none of its own: containers, and whose id is no UUID.
_NAMESPACE = UUID("3f1d8a52-98b7-4a0c-8f0e-54a2b3a0c2d1")
# The one above means "leave as it is" to setuid and chown.
_LARGEST_NUMBER = 0xFFFFFFFE

_CN, _UID, _NAME, _MAIL = (TYPE_BY_NAME[name] for name in ("cn", "uid", "name", "mail"))
_SN, _GIVEN_NAME, _DISPLAY_NAME = (TYPE_BY_NAME[name] for name in ("sn", "givenname", "displayname"))
_ACCOUNT_NAME, _HOME = TYPE_BY_NAME["samaccountname"], TYPE_BY_NAME["homedirectory"]
_UID_NUMBER, _GID_NUMBER = TYPE_BY_NAME["uidnumber"], TYPE_BY_NAME["gidnumber"]
_ACTIVE, _SUPERUSER = TYPE_BY_NAME["ak-active"], TYPE_BY_NAME["ak-superuser"]
_OBJECT_CLASS, _STRUCTURE = TYPE_BY_NAME["objectclass"], TYPE_BY_NAME["structuralobjectclass"]
_ENTRY_UUID, _SUBSCHEMA = TYPE_BY_NAME["entryuuid"], TYPE_BY_NAME["subschemasubentry"]
_CREATED, _MODIFIED = TYPE_BY_NAME["createtimestamp"], TYPE_BY_NAME["modifytimestamp"]
_PASSWORD_CHANGED, _HAS_SUBORDINATES = TYPE_BY_NAME["pwdchangedtime"], TYPE_BY_NAME["hassubordinates"]

_Values = dict[AttributeType, tuple[bytes, ...]]
_Mappings = tuple[tuple[AttributeType, tuple[str, ...]], ...]


class Describer:
    """Describes entries as one provider shows them. `schema` is the provider's."""

    __slots__ = ("_gid_start", "_group_mappings", "_uid_start", "_user_mappings")

    def __init__(self, provider: LdapProvider, schema: Schema) -> None:
        self._uid_start = provider.uid_start_number
        self._gid_start = provider.gid_start_number
        self._user_mappings = _typed(provider.user_attributes, schema)
        self._group_mappings = _typed(provider.group_attributes, schema)

    def user(self, user: DirectoryUser) -> Attributes:
        """Return the attributes of a user, without memberOf and ak-superuser."""
        said = _read_object(user.attributes)
        username = user.username.encode()
        given, family = _split_name(user.name or user.username)
        uid_number = _find_number(said, "uidNumber", self._uid_start + user.number)
        values: _Values = {
            _OBJECT_CLASS: _USER_CLASSES,
            _CN: (username,),
            _UID: (username,),
            _NAME: _text(user.name),
            _DISPLAY_NAME: _text(user.name),
            _GIVEN_NAME: _text(given),
            _SN: _text(family),
            _MAIL: _text(user.email),
            _ACCOUNT_NAME: (username,),
            _UID_NUMBER: _number(uid_number),
            _GID_NUMBER: _number(_find_number(said, "gidNumber", uid_number)),
            _HOME: (b"/home/" + username,),
            _ACTIVE: _boolean(user.active),
        }
        mapped = _mapped(self._user_mappings, said)
        if _HOME in mapped:
            mapped[_HOME] = (mapped[_HOME][0].replace(b"%s", username),)
        return _present(values | mapped)

    def group(self, group: DirectoryGroup) -> Attributes:
        """Return the attributes of a group, without memberOf, member, uniqueMember and memberUid."""
        said = _read_object(group.attributes)
        name = _text(group.name)
        values: _Values = {
            _OBJECT_CLASS: _GROUP_CLASSES,
            _CN: name,
            _UID: _text(group.id),
            _ACCOUNT_NAME: name,
            _GID_NUMBER: _number(_find_number(said, "gidNumber", self._gid_start + group.number)),
            _SUPERUSER: _boolean(group.superuser),
        }
        return _present(values | _mapped(self._group_mappings, said))


def virtual_group(username: str, gid_number: int) -> Attributes:
    """Return the attributes of a user's own group, without member, uniqueMember and memberUid."""
    name = _text(username)
    return (
        (_OBJECT_CLASS, _VIRTUAL_GROUP_CLASSES),
        (_CN, name),
        (_ACCOUNT_NAME, name),
        (_GID_NUMBER, _number(gid_number)),
        (_SUPERUSER, _boolean(False)),
    )


def container(name: dn.Rdn) -> Attributes:
    """Return the attributes of an entry that has only a name: the base DN and the branches below it."""
    values: _Values = {_OBJECT_CLASS: _names(("top", *_container_classes(name)))}
    for kind, value in _named(name):
        values[kind] = _distinct(kind, (*values.get(kind, ()), value))
    return tuple(values.items())


def operational(entry: DirectoryEntry) -> Attributes:
    """Return the operational attributes of a user or group, without entryDN."""
    is_user = isinstance(entry, DirectoryUser)
    values: _Values = {
        _ENTRY_UUID: (_entry_uuid(entry.id),),
        _CREATED: _moment(entry.created),
        _MODIFIED: _moment(entry.updated),
        _PASSWORD_CHANGED: _moment(entry.password_changed) if isinstance(entry, DirectoryUser) else (),
    }
    return _present(values) + _lone(USER_STRUCTURE if is_user else GROUP_STRUCTURE)


def operational_virtual_group(uuid: UUID, created: tuple[bytes, ...], modified: tuple[bytes, ...]) -> Attributes:
    """Return the operational attributes of a user's own group, which has the user's times; without entryDN."""
    values: _Values = {_ENTRY_UUID: _text(str(uuid)), _CREATED: created, _MODIFIED: modified}
    return _present(values) + _lone(GROUP_STRUCTURE)


def operational_container(key: str, name: dn.Rdn) -> Attributes:
    """Return the operational attributes of a container, by the key of its DN; without entryDN."""
    return (
        (_ENTRY_UUID, (str(uuid5(_NAMESPACE, f"container/{key}")).encode(),)),
        (_STRUCTURE, (_container_classes(name)[0].encode(),)),
        (_HAS_SUBORDINATES, _boolean(True)),
        (_SUBSCHEMA, _text(SUBSCHEMA_DN)),
    )


def _read_object(text: str) -> Mapping[str, object]:
    """Return a JSON object; an empty one for anything else."""
    if text in ("", "{}"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _typed(mappings: Iterable[AttributeMapping], schema: Schema) -> _Mappings:
    return tuple((schema.get(mapping.attribute), tuple(mapping.source.split("."))) for mapping in mappings)


def _find(said: Mapping[str, object], path: tuple[str, ...]) -> object:
    """Return what a mapping's source names: an attribute, or by `a.b` b of the object a; None for nothing."""
    found: object = said
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _mapped(mappings: _Mappings, said: Mapping[str, object]) -> _Values:
    values: _Values = {}
    if not said:
        return values
    for kind, path in mappings:
        source = _find(said, path)
        if source is not None:
            found = (*values.get(kind, ()), *_valid(kind, source))
            if found:
                values[kind] = found[:1] if kind.single else _distinct(kind, found)
    return values


def _valid(kind: AttributeType, said: object) -> Iterator[bytes]:
    for each in said if isinstance(said, list) else (said,):
        value = _value(kind, each)
        if value is not None and kind.syntax.holds(value):
            yield value


def _value(kind: AttributeType, said: object) -> bytes | None:
    """Return a scalar as a value is written; None for null, objects, lists, and numbers and text that can't be."""
    match said:
        case bool():
            return b"TRUE" if said else b"FALSE"
        case str():
            return _decoded(said) if kind.syntax is syntaxes.JPEG else _encoded(said)
        case int():
            return str(said).encode()
        case float() if math.isfinite(said):
            return str(said).encode()
        case _:
            return None


def _encoded(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may hold
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def _distinct(kind: AttributeType, values: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the values without those that equal one before them."""
    if len(values) == 1:
        return values
    normalise = kind.equality.normalise if kind.equality else lambda _: None
    found: dict[object, bytes] = {}
    for value in values:
        key = normalise(value)
        # What has no key equals itself alone.
        found.setdefault((None, value) if key is None else key, value)
    return tuple(found.values())


def _find_number(said: Mapping[str, object], name: str, counted: int) -> int:
    """Return the number that the attribute says, as an integer or in digits; otherwise the one counted."""
    number = said.get(name)
    if isinstance(number, str) and number.isascii():
        number = syntaxes.integer_key(number.strip().encode())
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _LARGEST_NUMBER:
        return number
    return counted


def _split_name(name: str) -> tuple[str, str]:
    """Return given names and family name; who has one name has it as family name, which every person must have."""
    given, _, family = name.strip().rpartition(" ")
    return given.rstrip(), family or name


def _container_classes(name: dn.Rdn) -> tuple[str, ...]:
    named = _named(name)
    if len(name) == len(named) == 1 and named[0][0].name in CONTAINERS:
        return (CONTAINERS[named[0][0].name],)
    return ("locality", OTHER_CONTAINER)


def _named(name: dn.Rdn) -> list[tuple[AttributeType, bytes]]:
    """Return the known types in an RDN and their values, as far as these are of the types' syntaxes."""
    known = [(TYPE_BY_NAME.get(each.type), each.value) for each in name]
    named = [(kind, value.encode()) for kind, value in known if kind is not None and isinstance(value, str)]
    return [(kind, value) for kind, value in named if kind.syntax.holds(value)]


def _entry_uuid(entry_id: str) -> bytes:
    written = entry_id.encode()
    return written if syntaxes.UNIVERSAL_ID.holds(written) else str(uuid5(_NAMESPACE, entry_id)).encode()


def _lone(structure: str) -> Attributes:
    return (
        (_STRUCTURE, (structure.encode(),)),
        (_HAS_SUBORDINATES, _boolean(False)),
        (_SUBSCHEMA, _text(SUBSCHEMA_DN)),
    )


def _moment(posix: float | None) -> tuple[bytes, ...]:
    if posix is None:
        return ()
    try:
        return (syntaxes.generalized_time(math.floor(posix)),)
    except (OverflowError, ValueError):
        return ()


def _present(values: _Values) -> Attributes:
    return tuple([(kind, held) for kind, held in values.items() if held])


def _text(text: str) -> tuple[bytes, ...]:
    return (text.encode(),) if text else ()


def _number(number: int) -> tuple[bytes, ...]:
    return (str(number).encode(),)


def _boolean(state: bool) -> tuple[bytes, ...]:
    return (b"TRUE",) if state else (b"FALSE",)


def _names(classes: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in classes)


_USER_CLASSES = _names(USER_CLASSES)
_GROUP_CLASSES = _names(GROUP_CLASSES)
_VIRTUAL_GROUP_CLASSES = _names(VIRTUAL_GROUP_CLASSES)
