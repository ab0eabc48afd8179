"""Where something found is not as wanted, told by the position in its spec.

What was rendered has to be there; what an image, an engine or a cluster adds to mappings is left alone. What is there
and is no longer wanted can't be told from that: it shows in the fingerprint that the object was labelled with.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from control.integrations.model import Difference, Found, Spec, Wanted

NAME = "name"
# Made otherwise than it would be made now, though all that is wanted is there.
OTHERWISE = ""


def differences(wanted: Wanted, found: Found) -> tuple[Difference, ...]:
    """All differences: of the name, of the spec in its order, and where there are none of that, in how it was made."""
    named = (Difference(path=NAME, wanted=wanted.name, found=found.name),) if wanted.name != found.name else ()
    below = tuple(_Comparison(wanted).below(wanted.spec, found.spec))
    is_otherwise = not below and wanted.fingerprint != found.fingerprint
    return (*named, *below, *((Difference(path=OTHERWISE),) if is_otherwise else ()))


def fields_of(wanted: Wanted, found: Found, told: Collection[Difference]) -> frozenset[str]:
    """The fields of the spec (and the name) that would have to change; all of them where nobody can tell which."""
    fields = {each.path.partition(".")[0] for each in told if each.path != OTHERWISE}
    if all(each.path != OTHERWISE for each in told):
        return frozenset(fields)
    left = {name for name, value in wanted.spec.items() if _has_more(value, found.spec.get(name))}
    return frozenset(fields | (left or {*wanted.spec, *found.spec}))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One pass over a spec, with what the wanted object says of values at certain paths."""

    wanted: Wanted

    def below(self, wanted: Spec, found: Spec, above: str = "") -> Iterator[Difference]:
        """The differences of two mappings that lie at `above`."""
        for name, value in wanted.items():
            yield from self._at(f"{above}{name}", value, found.get(name))

    def _at(self, path: str, wanted: object, found: object) -> Iterator[Difference]:
        if isinstance(wanted, Mapping):
            yield from self.below(wanted, found if isinstance(found, Mapping) else {}, f"{path}.")
        elif not self._is_as_good(path, wanted, found):
            texts = ("", "") if path in self.wanted.hidden else (_text(wanted), _text(found))
            yield Difference(path=path, wanted=texts[0], found=texts[1])

    def _is_as_good(self, path: str, wanted: object, found: object) -> bool:
        # As JSON has it: 1 is not true there, and a tuple is a list.
        return _json(wanted) == _json(found) or (isinstance(found, str) and found in self.wanted.accepts.get(path, ()))


def _has_more(wanted: object, found: object) -> bool:
    """Whether there is anything in `found` that `wanted` says nothing of."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return any(_has_more(wanted.get(name), value) for name, value in found.items())
    return wanted is None and found is not None


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case Sequence() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case _:
            return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)
