"""Small directories, and someone who searches them and reads the answers."""

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import NAMESPACE_OID, uuid5

from dataplane.config import (
    AttributeMapping,
    BindMode,
    DirectoryEdit,
    DirectoryEntry,
    DirectoryGroup,
    DirectoryUser,
    LdapProvider,
)
from dataplane.protocols.ldap import search
from dataplane.protocols.ldap.ber import ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, SET, Reader
from dataplane.protocols.ldap.messages import (
    Compare,
    Control,
    Filter,
    Message,
    Present,
    Result,
    ResultCode,
    Scope,
    Search,
)
from dataplane.protocols.ldap.paging import Pages
from dataplane.protocols.ldap.tree import Viewer
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.views import ANONYMOUS, Anonymous

BASE = "DC=ldap,DC=example,DC=org"
STAFF = "staff"
ANYTHING = Present("objectClass")
_ENTRY, _DONE, _CONTROLS = 0x64, 0x65, 0xA0


def provider(  # noqa: PLR0913  what tests differ in
    base_dn: str = BASE,
    *,
    id: str = "directory",  # noqa: A002  as the field is called
    search_group: str = STAFF,
    user_attributes: tuple[tuple[str, str], ...] = (),
    size_limit: int = 0,
    time_limit: float = 30.0,
    uid_start: int = 2000,
) -> LdapProvider:
    return LdapProvider(
        id=id,
        name=id,
        application_slug=id,
        application_name=id,
        base_dn=base_dn,
        bind_mode=BindMode.DIRECT,
        mfa_support=False,
        search_group=identity(search_group),
        uid_start_number=uid_start,
        gid_start_number=4000,
        certificate="",
        tls_server_name="",
        user_attributes=tuple(AttributeMapping(attribute=name, source=source) for name, source in user_attributes),
        group_attributes=(),
        size_limit=size_limit,
        time_limit=time_limit,
    )


def identity(name: str) -> str:
    """The id of whoever is called so in tests."""
    return str(uuid5(NAMESPACE_OID, name))


def user(  # noqa: PLR0913  what tests differ in
    username: str,
    *groups: str,
    name: str | None = None,
    email: str = "",
    active: bool = True,
    attributes: str = "{}",
    number: int = 0,
    updated: float = 1_700_000_000.0,
    key: str = "",
) -> DirectoryUser:
    return DirectoryUser(
        id=identity(key or username),
        username=username,
        name=username if name is None else name,
        email=email,
        active=active,
        groups=tuple(identity(group) for group in groups),
        attributes=attributes,
        number=number or sum(username.encode()),
        created=1_600_000_000.0,
        updated=updated,
    )


def group(name: str, *parents: str, superuser: bool = False, key: str = "", number: int = 0) -> DirectoryGroup:
    return DirectoryGroup(
        id=identity(key or name),
        name=name,
        superuser=superuser,
        parents=tuple(identity(parent) for parent in parents),
        attributes="{}",
        number=number or 1_000_000 + sum(name.encode()),
        created=1_600_000_000.0,
        updated=1_700_000_000.0,
    )


def edit(
    *entries: DirectoryEntry, removed: Iterable[str] = (), begins: bool = False, complete: bool = True
) -> DirectoryEdit:
    return DirectoryEdit(
        changed={key_of(entry): entry for entry in entries},
        removed=frozenset(removed),
        begins=begins,
        complete=complete,
    )


def key_of(entry: DirectoryEntry) -> str:
    return f"{'user' if isinstance(entry, DirectoryUser) else 'group'}/{entry.id}"


def load(trees: Trees, *entries: DirectoryEntry) -> Trees:
    """A whole copy."""
    trees.apply(edit(*entries, begins=True), _no_pause)
    return trees


def change(trees: Trees, *entries: DirectoryEntry, removed: Iterable[str] = ()) -> None:
    trees.apply(edit(*entries, removed=removed), _no_pause)


def _no_pause() -> None:
    pass


Attributes = dict[str, list[bytes]]


@dataclass
class Answer:
    """What came back. `entries` has them in their order, by DN."""

    entries: dict[str, Attributes] = field(default_factory=dict)
    code: ResultCode = ResultCode.OTHER
    matched: str = ""
    text: str = ""
    controls: dict[str, bytes] = field(default_factory=dict)
    batches: int = field(default=0, compare=False)

    @property
    def names(self) -> list[str]:
        """The first RDN of each."""
        return [name.partition(",")[0] for name in self.entries]


def read(data: bytes, answer: Answer) -> None:
    """Read encoded responses."""
    reader = Reader(data)
    while reader.more():
        end = reader.open(SEQUENCE)
        assert reader.integer(INTEGER) == 7
        if reader.peek() == _ENTRY:
            _read_entry(reader, answer)
        else:
            _read_done(reader, answer)
        assert not reader.more()
        reader.end = end


def _read_entry(reader: Reader, answer: Answer) -> None:
    outer = reader.open(_ENTRY)
    name = reader.octets(OCTET_STRING).decode()
    inner = reader.open(SEQUENCE)
    attributes: Attributes = {}
    while reader.more():
        end = reader.open(SEQUENCE)
        kind = reader.octets(OCTET_STRING).decode()
        values_end = reader.open(SET)
        values = []
        while reader.more():
            values.append(reader.octets(OCTET_STRING))
        reader.end = values_end
        assert not reader.more()
        reader.end = end
        assert kind not in attributes, f"{kind} is there twice"
        attributes[kind] = values
    reader.end = inner
    reader.end = outer
    assert name not in answer.entries, f"{name} came twice"
    answer.entries[name] = attributes


def _read_done(reader: Reader, answer: Answer) -> None:
    assert answer.code is ResultCode.OTHER, "two ends"
    outer = reader.open(_DONE)
    answer.code = ResultCode(reader.integer(ENUMERATED))
    answer.matched = reader.octets(OCTET_STRING).decode()
    answer.text = reader.octets(OCTET_STRING).decode()
    reader.end = outer
    if reader.more():
        outer = reader.open(_CONTROLS)
        while reader.more():
            end = reader.open(SEQUENCE)
            oid = reader.octets(OCTET_STRING).decode()
            answer.controls[oid] = reader.octets(OCTET_STRING)
            reader.end = end
        reader.end = outer


def read_all(running: Generator[bytes, None, ResultCode], answer: Answer) -> ResultCode:
    """Read all batches; what the generator returned."""
    ended: list[ResultCode] = []

    def whole() -> Iterator[bytes]:
        ended.append((yield from running))

    for batch in whole():
        read(batch, answer)
        answer.batches += 1
    return ended[0]


class Searcher:
    """Someone with a connection of their own."""

    def __init__(self, trees: Trees, viewer: Viewer | Anonymous = ANONYMOUS) -> None:
        self.trees = trees
        self.viewer = viewer
        self.pages = Pages()
        self.clock = time.monotonic

    @classmethod
    def of(cls, trees: Trees, username: str, provider_id: str = "directory") -> "Searcher":
        tree = trees.get(provider_id)
        assert tree is not None
        return cls(trees, tree.viewer(identity(username)))

    def search(  # noqa: PLR0913  as many as a search has
        self,
        filter: Filter = ANYTHING,  # noqa: A002  as the field is called
        *,
        base: str = BASE,
        scope: Scope = Scope.SUBTREE,
        attributes: tuple[str, ...] = (),
        controls: tuple[Control, ...] = (),
        size_limit: int = 0,
        time_limit: int = 0,
        types_only: bool = False,
    ) -> Answer:
        request = Search(
            base=base,
            scope=scope,
            filter=filter,
            attributes=attributes,
            size_limit=size_limit,
            time_limit=time_limit,
            types_only=types_only,
        )
        message = Message(id=7, request=request, controls=controls)
        answer = Answer()
        running = search.answer(self.trees, message, self.viewer, self.pages, self.clock)
        assert (read_all(running, answer)) is answer.code
        return answer

    def compare(self, entry: str, attribute: str, value: bytes) -> Result:
        return search.compare(self.trees, Compare(entry=entry, attribute=attribute, value=value), self.viewer)
