"""Who may use an application: its enabled bindings in order, any or all of them; none means every active user.

The decision and its explanation are made by one function, so that what is shown is what happens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from control.domain.application import Application, Binding, PolicyMode
from control.domain.decision import Allow, Decision, Deny, DenyReason
from control.domain.identity import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePart:
    """What one rule has to say of a person.

    `matches` whether it is about that person, `passes` whether it says yes (negation turns the match round), `counts`
    whether it is heard: a disabled one is not.
    """

    binding: Binding
    matches: bool
    passes: bool
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, and what each rule had to say, in order."""

    decision: Decision
    rules: tuple[RulePart, ...]


def decide(person: Person, application: Application, bindings: Iterable[Binding]) -> Decision:
    """Evaluate the bindings of one application for one person."""
    return explain(person, application, bindings).decision


def explain(person: Person, application: Application, bindings: Iterable[Binding]) -> Explanation:
    """The same, and why: the part of each rule, disabled ones included."""
    rules = tuple(_part(person, binding) for binding in sorted(bindings, key=lambda binding: binding.order))
    return Explanation(decision=_decision(person, application.policy_mode, rules), rules=rules)


def passes(person: Person, binding: Binding) -> bool:
    """Whether one binding says yes to the person."""
    return _matches(person, binding) != binding.negate


def _part(person: Person, binding: Binding) -> RulePart:
    return RulePart(
        binding=binding,
        matches=_matches(person, binding),
        passes=passes(person, binding),
        counts=binding.enabled,
    )


def _matches(person: Person, binding: Binding) -> bool:
    if binding.user is not None:
        return binding.user == person.user.id
    return any(group.id == binding.group for group in person.groups)


def _decision(person: Person, mode: PolicyMode, rules: Sequence[RulePart]) -> Decision:
    if not person.user.active:
        return Deny(DenyReason.USER_INACTIVE)
    results = [rule.passes for rule in rules if rule.counts]
    return _combine(mode, results) if results else Allow(open_to_all=True)


def _combine(mode: PolicyMode, results: Sequence[bool]) -> Decision:
    if mode is PolicyMode.ANY:
        return Allow() if any(results) else Deny(DenyReason.NO_BINDING_MATCHES)
    return Allow() if all(results) else Deny(DenyReason.A_BINDING_FAILS)
