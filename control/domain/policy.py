"""Who may use an application: its enabled bindings in order, any or all of them; none means every active user."""

from collections.abc import Iterable

from control.domain.application import Application, Binding, PolicyMode
from control.domain.decision import Allow, Decision, Deny, DenyReason
from control.domain.identity import Person


def decide(person: Person, application: Application, bindings: Iterable[Binding]) -> Decision:
    """Evaluate the bindings of one application for one person."""
    if not person.user.active:
        return Deny(DenyReason.USER_INACTIVE)
    enabled = sorted((binding for binding in bindings if binding.enabled), key=lambda binding: binding.order)
    if not enabled:
        return Allow(open_to_all=True)
    return _combine(application.policy_mode, [passes(person, binding) for binding in enabled])


def passes(person: Person, binding: Binding) -> bool:
    """Whether one binding says yes to the person."""
    return _matches(person, binding) != binding.negate


def _matches(person: Person, binding: Binding) -> bool:
    if binding.user is not None:
        return binding.user == person.user.id
    return any(group.id == binding.group for group in person.groups)


def _combine(mode: PolicyMode, results: list[bool]) -> Decision:
    if mode is PolicyMode.ANY:
        return Allow() if any(results) else Deny(DenyReason.NO_BINDING_MATCHES)
    return Allow() if all(results) else Deny(DenyReason.A_BINDING_FAILS)
