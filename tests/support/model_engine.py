"""An engine that is nothing but what the model of integrations says of engines, for tests of plans.

It holds objects, makes and changes them as actions say, and knows neither containers nor clusters. Names are taken as
real engines do: once each, or once for each part and place.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import UUID

from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Condition,
    Create,
    Found,
    Remove,
    Replace,
    Report,
    Revive,
    Wanted,
)


def as_found(wanted: Wanted, key: str = "", condition: Condition = Condition.RUNNING) -> Found:
    """An object that was made just as wanted."""
    return Found(
        key=wanted.key,
        id=key or f"{wanted.key.component}-{wanted.name}",
        name=wanted.name,
        spec=wanted.spec,
        fingerprint=wanted.fingerprint,
        condition=condition,
    )


@dataclass(slots=True)
class ModelEngine:
    """A target. `refuses` says which actions fail; `applied` are all that were carried out."""

    can_run_beside: bool = True
    objects: list[Found] = field(default_factory=list)
    refuses: Callable[[Action], bool] = lambda _: False
    applied: list[Action] = field(default_factory=list)
    ids: Iterable[int] = field(default_factory=lambda: count(1))

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """As real targets do."""
        return tuple(each for each in self.objects if each.key.owner in owners)

    def prepare(self, wanted: Wanted, report: Report) -> str:  # noqa: ARG002 - the shape of targets
        """There is nothing to fetch."""
        return ""

    def apply(self, action: Action, report: Report) -> None:  # noqa: ARG002 - the shape of targets
        """As real targets do. Raises ActionFailed."""
        if self.refuses(action):
            raise ActionFailed("refused", "by the test")
        self.applied.append(action)
        match action:
            case Create(wanted=wanted):
                self._put(wanted)
            case Replace(wanted=wanted, found=found):
                self.objects.remove(found)
                self._put(wanted)
            case Change(wanted=wanted, found=found):
                self._change(wanted, found)
            case Revive(found=found):
                place = self._place(found)
                self.objects[place] = replace(self.objects[place], condition=Condition.RUNNING)
            case Remove(found=found):
                self.objects.remove(found)

    def _put(self, wanted: Wanted) -> None:
        self._expect_free(wanted)
        self.objects.append(as_found(wanted, f"made-{next(iter(self.ids))}"))

    def _change(self, wanted: Wanted, found: Found) -> None:
        """In place: what can be changed so is as wanted, and the label of how it was made where that can be."""
        place = self._place(found)
        self.objects.pop(place)
        self._expect_free(wanted)
        kept = {name: value for name, value in found.spec.items() if name not in wanted.in_place}
        spec = kept | {name: value for name, value in wanted.spec.items() if name in wanted.in_place}
        is_relabelled = bool(wanted.in_place - {"name"})
        made_as = wanted.fingerprint if is_relabelled else found.fingerprint
        self.objects.insert(place, replace(found, name=wanted.name, spec=spec, fingerprint=made_as))

    def _place(self, found: Found) -> int:
        return next(place for place, each in enumerate(self.objects) if each.id == found.id)

    def _expect_free(self, wanted: Wanted) -> None:
        for each in self.objects:
            is_same_place = each.key.place == wanted.key.place and each.name == wanted.name
            if is_same_place and (not wanted.key.place or each.key.component == wanted.key.component):
                raise ActionFailed("name_taken", wanted.name)
