"""Where a search looks: its base and scope (RFC 4511 section 4.5.1.1, 4.5.1.2) as a region of the tree.

What someone may not see is not there: the answer about it, with the DN that did match, is the one about a name that
was never given.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.directory import GROUP, USER
from dataplane.protocols.ldap.messages import Result, ResultCode, Scope
from dataplane.protocols.ldap.tree import BASE, CONTAINER, CONTAINERS, GROUPS, USERS, VIRTUAL, VIRTUAL_GROUPS, Tree
from dataplane.protocols.ldap.views import View

SUBSCHEMA: Final = "cn=subschema"


@dataclass(frozen=True, slots=True)
class Region:
    """Some containers, all users or groups or both, all virtual groups, or one entry that is none of the containers."""

    containers: tuple[int, ...] = ()
    kinds: int = 0
    virtual: bool = False
    entry: int | None = None

    def holds(self, tree: Tree, code: int) -> bool:
        """Whether an entry lies in it."""
        if code == self.entry:
            return True
        if code >= CONTAINER:
            return code in self.containers
        return self.virtual if code >= VIRTUAL else bool(tree.directory.kinds[code] & self.kinds)


_NOWHERE: Final = Region()
_KINDS: Final = {USERS: USER, GROUPS: GROUP, VIRTUAL_GROUPS: 0}
_OF_CONTAINERS: Final = {
    (BASE, Scope.BASE): Region(containers=(BASE,)),
    (BASE, Scope.ONE_LEVEL): Region(containers=CONTAINERS[1:]),
    (BASE, Scope.SUBTREE): Region(containers=CONTAINERS, kinds=USER | GROUP, virtual=True),
    (BASE, Scope.SUBORDINATES): Region(containers=CONTAINERS[1:], kinds=USER | GROUP, virtual=True),
} | {
    (unit, scope): Region(
        containers=containers, kinds=kinds, virtual=unit == VIRTUAL_GROUPS and scope is not Scope.BASE
    )
    for unit, kind in _KINDS.items()
    for scope, containers, kinds in (
        (Scope.BASE, (unit,), 0),
        (Scope.ONE_LEVEL, (), kind),
        (Scope.SUBTREE, (unit,), kind),
        (Scope.SUBORDINATES, (), kind),
    )
}


def find_region(view: View, key: str, base: str, scope: Scope) -> Region | Result:
    """The region below a base, or who isn't there. `key` is the normalised `base`."""
    if not key:
        return _below_the_root(scope)
    code = find_seen(view, key, base)
    if code is None:
        return missing(view, key)
    if code >= CONTAINER:
        return _OF_CONTAINERS[code, scope]
    return Region(entry=code) if scope in (Scope.BASE, Scope.SUBTREE) else _NOWHERE


def find_seen(view: View, key: str, spelled: str) -> int | None:
    """The entry with this name, where there is one that may be seen."""
    seen = [code for code in view.tree.find_all(key) if view.sees(code)]
    if len(seen) > 1:
        return view.tree.spelled(seen, spelled)
    return seen[0] if seen else None


def missing(view: View, key: str) -> Result:
    """The answer about a name that isn't there: the nearest one above it that is (RFC 4511 section 4.1.9)."""
    base = view.tree.base_key
    if not dn.is_within(key, base):
        return Result(code=ResultCode.NO_SUCH_OBJECT)
    # Nothing lies deeper than entries below their unit.
    above = key[: -len(base) - 1].rsplit(",", 3)[-2:]
    names = [",".join((*above[start:], base)) for start in range(len(above) + 1)]
    for name in names:
        if name != key and (code := find_seen(view, name, "")) is not None:
            return Result(code=ResultCode.NO_SUCH_OBJECT, matched_dn=view.tree.name_of(code).decode())
    return Result(code=ResultCode.NO_SUCH_OBJECT)


def _below_the_root(scope: Scope) -> Region:
    """What lies below the empty name, which is the root DSE's own: for each viewer, the tree that they bound under."""
    match scope:
        case Scope.BASE:
            return _NOWHERE
        case Scope.ONE_LEVEL:
            return _OF_CONTAINERS[BASE, Scope.BASE]
        case Scope.SUBTREE | Scope.SUBORDINATES:
            return _OF_CONTAINERS[BASE, Scope.SUBTREE]
    assert_never(scope)


def key_of(base: str) -> str | Result:
    """The normalised name, or that it is none."""
    try:
        return dn.normalise(base)
    except ValueError as error:
        return Result(code=ResultCode.INVALID_DN_SYNTAX, diagnostic=str(error))
