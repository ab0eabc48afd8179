"""The trees of all LDAP providers, over as few directories as there are ways to describe an entry.

Providers with the same mappings and starts of numbers share one directory, for it holds no DN. A whole copy is built
beside what is served and exchanged for it at its end; a change is made in place. Where a provider comes whose entries
nobody has described like that yet, it shows what it showed before, or nothing, until a whole copy has come.
"""

from collections.abc import Callable, Iterable

from dataplane.config import AttributeMapping, DirectoryEdit, LdapProvider
from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.directory import Directory
from dataplane.protocols.ldap.entries import Describer
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.tree import Tree

_Shape = tuple[tuple[AttributeMapping, ...], tuple[AttributeMapping, ...], int, int]


class _Shared:
    """What trees before and after a change of providers have in common: directories by how they describe entries."""

    def __init__(self) -> None:
        self.whole: dict[_Shape, Directory] = {}
        self.building: dict[_Shape, Directory] | None = None


class Trees:
    """What an outpost serves. `version` is what the root DSE calls Garrison's."""

    def __init__(self, providers: Iterable[LdapProvider] = (), *, version: str = "") -> None:
        """Empty trees of these providers. Raises ConfigRefused for one that can't be served."""
        self.version = version
        self._shared = _Shared()
        self._trees: tuple[Tree, ...] = ()
        self._by_provider: dict[str, Tree] = {}
        self._take(providers, {})

    @property
    def loaded(self) -> bool:
        """Whether a whole copy of the directory has come for each provider as it is now."""
        self._catch_up()
        return all(_shape(tree.provider) in self._shared.whole for tree in self._trees)

    @property
    def wants_directory(self) -> bool:
        """Whether a whole copy is needed: there are providers that have none, and none is under way for them."""
        building = self._shared.building or {}
        self._catch_up()
        return any(
            shape not in self._shared.whole and shape not in building
            for shape in (_shape(tree.provider) for tree in self._trees)
        )

    @property
    def base_dns(self) -> tuple[str, ...]:
        """Of all providers, in their order."""
        return tuple(tree.provider.base_dn for tree in self._by_provider.values())

    def with_providers(self, providers: Iterable[LdapProvider]) -> "Trees":
        """These trees, changed to those of other providers. Raises ConfigRefused for one that can't be served.

        What is applied to either is seen in both, whichever of them is used in the end.
        """
        found = Trees(version=self.version)
        found._shared = self._shared
        found._take(providers, {tree.provider.id: tree for tree in self._trees})
        return found

    def use(self) -> None:
        """Serve these from now on: who has bound before is told their name by them."""
        self._catch_up()
        for tree in self._trees:
            tree.take_place()

    def find_tree(self, name: str) -> Tree | None:
        """The tree that a DN lies in: of several, the lowest. Raises ValueError for what is no DN."""
        key = dn.normalise(name)
        for tree in self._trees:
            if dn.is_within(key, tree.base_key):
                return tree
        return None

    @property
    def first(self) -> Tree | None:
        """The tree whose schema stands for all where nobody in particular asks; None where there is no tree."""
        return next(iter(self._by_provider.values()), None)

    def get(self, provider: str) -> Tree | None:
        """The tree of a provider, by its id."""
        return self._by_provider.get(provider)

    def apply(self, edit: DirectoryEdit, pause: Callable[[], None]) -> None:
        """Make a change, or take a part of a whole copy; `pause` is called now and then, for others to run."""
        shared = self._shared
        if edit.begins:
            shared.building = {_shape(tree.provider): _new_directory(tree.provider) for tree in self._trees}
        if shared.building is None:
            self._catch_up()
            for directory in {id(tree.directory): tree.directory for tree in self._trees}.values():
                directory.apply(edit.changed, edit.removed, pause)
            return
        for directory in shared.building.values():
            directory.apply(edit.changed, edit.removed, pause)
        if edit.complete:
            for directory in shared.building.values():
                directory.settle(pause)
            shared.whole, shared.building = shared.building, None
            self.use()

    def _catch_up(self) -> None:
        """Show whole copies that have come, to these trees or those before them."""
        self._hold([self._caught_up(tree) for tree in self._by_provider.values()])

    def _hold(self, trees: list[Tree]) -> None:
        self._trees = tuple(sorted(trees, key=lambda tree: -len(tree.base_key)))
        self._by_provider = {tree.provider.id: tree for tree in trees}

    def _caught_up(self, tree: Tree) -> Tree:
        whole = self._shared.whole.get(_shape(tree.provider))
        if whole is None or tree.directory is whole:
            return tree
        return Tree(tree.provider, whole, whole=True, before=tree)

    def _take(self, providers: Iterable[LdapProvider], before: dict[str, Tree]) -> None:
        self._hold([self._tree(provider, before.get(provider.id)) for provider in providers])

    def _tree(self, provider: LdapProvider, before: Tree | None) -> Tree:
        schema_of(provider)  # refused now, not when a whole copy has come
        if before is not None and before.provider == provider:
            return before
        directory = self._shared.whole.get(_shape(provider))
        if directory is not None:
            return Tree(provider, directory, whole=True, before=before)
        if before is not None:
            return Tree(provider, before.directory, whole=before.whole, before=before)
        return Tree(provider, _new_directory(provider), whole=False)


def _shape(provider: LdapProvider) -> _Shape:
    return (
        provider.user_attributes,
        provider.group_attributes,
        provider.uid_start_number,
        provider.gid_start_number,
    )


def _new_directory(provider: LdapProvider) -> Directory:
    schema = schema_of(provider)
    return Directory(schema, Describer(provider, schema))
