"""Which attributes of users and groups an LDAP provider shows, read from a form or a blueprint, and what none may show.

As lines of text, or as a list of such lines or of mappings with `attribute` and `source`. Never a secret, by
whatever name, and nothing that an entry says by itself.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from control.domain.application import AttributeMapping
from control.domain.names import is_attribute_name
from control.fleet.fields import Reader

MOST_MAPPINGS = 100
LONGEST_NAME = 100
_EXPECTED = "lines like loginShell, or telephoneNumber = phone"
# In lower case: what directories, and what was brought over from them, call passwords and keys.
_SECRET = frozenset(
    {
        *("password", "userpassword", "clearpassword", "authpassword", "pwdhistory", "userpkcs12", "krbprincipalkey"),
        *("sambalmpassword", "sambantpassword", "sambapasswordhistory", "sambacleartextpassword"),
        *("lmpassword", "ntpassword", "lmpwdhistory", "ntpwdhistory", "dbcspwd", "unicodepwd"),
        *("supplementalcredentials", "ms-mcs-admpwd"),
    }
)
# In lower case: names and relations, numbers, operational attributes, and what the root DSE and the subschema have.
_OWN = frozenset(
    {
        *("cn", "commonname", "uid", "userid", "samaccountname", "objectclass", "distinguishedname", "dn"),
        *("memberof", "member", "uniquemember", "memberuid", "ak-active", "ak-superuser", "uidnumber", "gidnumber"),
        *("entryuuid", "entrydn", "entrycsn", "createtimestamp", "modifytimestamp", "creatorsname", "modifiersname"),
        *("pwdchangedtime", "pwdaccountlockedtime", "structuralobjectclass", "hassubordinates", "numsubordinates"),
        *("attributetypes", "objectclasses", "matchingrules", "matchingruleuse", "ldapsyntaxes", "nameforms"),
        *("ditcontentrules", "ditstructurerules", "subschemasubentry", "altserver", "vendorname", "vendorversion"),
        *("supportedcontrol", "supportedextension", "supportedfeatures", "supportedldapversion"),
        *("supportedsaslmechanisms", "namingcontexts", "defaultnamingcontext", "rootdomainnamingcontext"),
        *("ref", "aliasedobjectname", "aliasedentryname"),
    }
)
# Groups have none of these by themselves, so they may be mapped there.
_OWN_OF_USERS = _OWN | {"name", "mail", "rfc822mailbox"}


def mapping_lines(mappings: Sequence[AttributeMapping]) -> str:
    """The mappings as they are written in lines."""
    return "\n".join(
        each.attribute if each.attribute == each.source else f"{each.attribute} = {each.source}" for each in mappings
    )


def shows(mapping: AttributeMapping, attribute: str) -> bool:
    """Whether the mapping shows that attribute, or a part of it."""
    return attribute in (mapping.source, mapping.source.partition(".")[0])


def read_mappings(reader: Reader, name: str, current: tuple[AttributeMapping, ...]) -> tuple[AttributeMapping, ...]:
    """The mappings in a field, the present ones where it is not named; every problem is noted."""
    value = reader.fields.get(name, current)
    if value is current:
        return current
    items = value.splitlines() if isinstance(value, str) else [] if value is None else value
    if isinstance(items, Mapping | bytes) or not isinstance(items, Sequence):
        reader.refuse(name, "not_a_list", value, _EXPECTED)
        return current
    if len(items) > MOST_MAPPINGS:
        reader.refuse(name, "too_many", len(items), f"at most {MOST_MAPPINGS}")
        return current
    own = _OWN_OF_USERS if name == "user_attributes" else _OWN
    found = tuple(each for place, item in enumerate(items) for each in _read(reader, f"{name}[{place}]", item, own))
    _check_doubles(reader, name, found)
    return found


def _read(reader: Reader, place: str, item: object, own: Collection[str]) -> Iterator[AttributeMapping]:
    """One, or none for an empty line."""
    mapping = _parsed(item)
    if mapping is None:
        reader.refuse(place, "not_a_mapping", item, _EXPECTED)
    elif mapping.attribute or mapping.source:
        _check(reader, place, mapping, own)
        yield mapping


def _parsed(item: object) -> AttributeMapping | None:
    match item:
        case str():
            attribute, equals, source = item.partition("=")
            return _mapping(attribute, source if equals else attribute)
        case {"attribute": str() as attribute, "source": str() as source, **rest} if not rest:
            return _mapping(attribute, source)
        case {"attribute": str() as attribute, **rest} if not rest:
            return _mapping(attribute, attribute)
    return None


def _mapping(attribute: str, source: str) -> AttributeMapping:
    return AttributeMapping(attribute=attribute.strip(), source=source.strip())


def _check(reader: Reader, place: str, mapping: AttributeMapping, own: Collection[str]) -> None:
    attribute, source = mapping.attribute, mapping.source
    if len(attribute) > LONGEST_NAME or not is_attribute_name(attribute):
        expected = f"an attribute's name: a letter, then letters, digits and -, at most {LONGEST_NAME}"
        reader.refuse(place, "not_an_attribute", attribute, expected)
    elif secret := _find_secret(mapping):
        reader.refuse(place, "secret", secret, "an attribute that holds no password: none is ever shown")
    elif attribute.lower() in own:
        reader.refuse(place, "not_mappable", attribute, "an attribute that entries have not by themselves")
    if len(source) > LONGEST_NAME or not source.isprintable() or "" in source.split("."):
        expected = f"an attribute of users or groups, at most {LONGEST_NAME} characters"
        reader.refuse(place, "not_a_source", source, expected)


def _find_secret(mapping: AttributeMapping) -> str | None:
    """What of it is called like a secret: the attribute, or any part of where it comes from."""
    names = (mapping.attribute, *mapping.source.split("."))
    return next((name for name in names if name.strip().lower() in _SECRET), None)


def _check_doubles(reader: Reader, name: str, mappings: Sequence[AttributeMapping]) -> None:
    seen: set[str] = set()
    for each in mappings:
        if each.attribute.lower() in seen:
            reader.refuse(name, "said_twice", each.attribute, "each attribute once, upper and lower case alike")
        seen.add(each.attribute.lower())
