"""Which version of each resource the workers are to serve, when some of what control sent is refused. Pure.

A refused resource keeps its previous version and the rest is applied; one that has no previous version, or whose
previous version is refused as well (because what it needs is gone), is not served at all. Each refusal moves a key
one step down, so it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dataplane.link.held import HeldResource, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change came to: what is served now, all that is refused, and its newest version for another try.

    `served` goes on to show what is served. `failed` was left out because the workers failed while it was in; it stands
    among the rejections too.
    """

    served: Mapping[str, HeldResource]
    rejections: tuple[Rejection, ...] = ()
    refused: Mapping[str, HeldResource] = field(default_factory=dict)
    failed: Mapping[str, HeldResource] = field(default_factory=dict)


class Stuck(Exception):
    """A worker refuses keys that it was not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a change: `kept_back` keys stay at the version served, `dropped` ones are left out."""

    served: Mapping[str, HeldResource]
    changed: Mapping[str, HeldResource]
    removed: frozenset[str] = frozenset()
    kept_back: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def upserts(self) -> tuple[HeldResource, ...]:
        """What differs from what is served."""
        refused = self.kept_back.keys() | self.dropped.keys()
        return tuple(resource for key, resource in self.changed.items() if key not in refused)

    @property
    def removals(self) -> tuple[str, ...]:
        """What is served and no longer to be."""
        return tuple(sorted(key for key in self.removed.union(self.dropped) if key in self.served))

    @property
    def result(self) -> dict[str, HeldResource]:
        """What is served once this is committed."""
        gone = set(self.removals)
        kept = {key: resource for key, resource in self.served.items() if key not in gone}
        return kept | {resource.key: resource for resource in self.upserts}

    def refuse(self, refusals: Mapping[str, str]) -> "Attempt":
        """The next try. Raises Stuck."""
        known = {key: reason for key, reason in refusals.items() if key in self.result}
        if not known:
            raise Stuck(f"refused are {sorted(refusals)}, which were not to be served")
        back = {key: reason for key, reason in known.items() if self._has_previous(key)}
        dropped = {key: reason for key, reason in known.items() if key not in back}
        return Attempt(
            served=self.served,
            changed=self.changed,
            removed=self.removed,
            kept_back={**self.kept_back, **back},
            dropped={**self.dropped, **dropped},
        )

    def _has_previous(self, key: str) -> bool:
        return key in self.changed and key in self.served and key not in self.kept_back

    @property
    def refused(self) -> dict[str, HeldResource]:
        """The newest version of everything that is not served as control wants it; tried again with every change."""
        return {key: self._newest(key) for key in (*self.kept_back, *self.dropped)}

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """What to tell control; the first reason counts, as it concerns the newest version."""
        reasons = {**self.dropped, **self.kept_back}
        return tuple(
            Rejection(key=key, digest=self._newest(key).digest, reason=reason) for key, reason in reasons.items()
        )

    def _newest(self, key: str) -> HeldResource:
        return self.changed[key] if key in self.changed else self.served[key]
