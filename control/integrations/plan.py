"""What is to be done so that an engine holds what is wanted: pure, and nothing where it does already.

- What stands where something wanted belongs goes first; then everything is made or changed in its order, and what
  nobody wants any more goes last, in the opposite one.
- Of several that are the same object (a replacement that ended in the middle, a copy by hand) the one that serves is
  kept; where none does, the one to fall back to if the replacement, begun anew, comes to nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from control.integrations.differences import NAME, differences, fields_of
from control.integrations.model import (
    Action,
    Change,
    Condition,
    Create,
    Difference,
    Found,
    Key,
    Remove,
    Replace,
    Revive,
    Wanted,
)


def plan(desired: Sequence[Wanted], observed: Sequence[Found], *, can_run_beside: bool) -> tuple[Action, ...]:
    """The actions in their order. `can_run_beside`: objects can be given another name while they run.

    `observed` is in the order in which such objects are made.
    """
    in_order = sorted(desired, key=lambda wanted: wanted.order)
    by_key: defaultdict[Key, list[Found]] = defaultdict(list)
    for found in observed:
        by_key[found.key].append(found)
    kept = {wanted.key for wanted in in_order}
    places = {_place(wanted.key, wanted.name) for wanted in in_order}
    unwanted = [found for found in observed if found.key not in kept]
    in_the_way = [found for found in unwanted if _place(found.key, found.name) in places]
    steps = [_steps(wanted, by_key[wanted.key], can_run_beside=can_run_beside) for wanted in in_order]
    return (
        *(Remove(found=found) for found in in_the_way),
        *(action for actions in steps for action in actions),
        *(Remove(found=found) for found in reversed(unwanted) if found not in in_the_way),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One of those that are there of an object. `fits`: it needn't be made anew."""

    found: Found
    told: tuple[Difference, ...]
    fits: bool

    @property
    def rank(self) -> tuple[bool, bool, int, str]:
        """The smaller, the better. Of those that don't serve, one that fits did not become healthy."""
        serves = self.found.condition is Condition.RUNNING
        return not serves, self.fits is not serves, len(self.told), self.found.id


def _steps(wanted: Wanted, there: Sequence[Found], *, can_run_beside: bool) -> Iterator[Action]:
    """What to do about one wanted object, `there` being all that are it."""
    if not there:
        yield Create(wanted=wanted)
        return
    in_place = wanted.in_place if can_run_beside else wanted.in_place - {NAME}
    best, *others = sorted((_candidate(wanted, found, in_place) for found in there), key=lambda each: each.rank)
    for other in others:
        yield Remove(found=other.found)
    if not best.fits:
        beside = can_run_beside and not wanted.exclusive
        yield Replace(wanted=wanted, found=best.found, differences=best.told, beside=beside)
        return
    found = best.found
    if best.told:
        yield Change(wanted=wanted, found=found, differences=best.told)
        found = replace(found, name=wanted.name)
    if found.condition in {Condition.UNHEALTHY, Condition.STOPPED}:
        yield Revive(wanted=wanted, found=found)


def _candidate(wanted: Wanted, found: Found, in_place: frozenset[str]) -> _Candidate:
    told = differences(wanted, found)
    return _Candidate(found=found, told=told, fits=fields_of(wanted, found, told) <= in_place)


def _place(key: Key, name: str) -> tuple[str, str]:
    """What only one object can have: a place among those of its part, or its name where names are of one engine."""
    return (key.component, key.place) if key.place else ("", name)
