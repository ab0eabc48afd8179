"""Who may use an application, by bindings, in every mode."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.application import Binding, PolicyMode
from control.domain.decision import Allow, Deny, DenyReason
from control.domain.identity import Person
from control.domain.policy import decide
from tests.support import builders

STAFF, GUESTS = builders.group("staff"), builders.group("guests")
ALICE = Person(user=builders.user("alice"), groups=(STAFF,))
WIKI = builders.application("wiki")


def binding(
    *, user: UUID | None = None, group: UUID | None = None, enabled: bool = True, negate: bool = False
) -> Binding:
    return Binding(id=uuid4(), application=WIKI.id, user=user, group=group, enabled=enabled, negate=negate)


YES, NO = binding(group=STAFF.id), binding(group=GUESTS.id)


@pytest.mark.parametrize(
    ("bindings", "of_any", "of_all"),
    [
        ([], Allow(open_to_all=True), Allow(open_to_all=True)),
        ([YES], Allow(), Allow()),
        ([NO], Deny(DenyReason.NO_BINDING_MATCHES), Deny(DenyReason.A_BINDING_FAILS)),
        ([YES, NO], Allow(), Deny(DenyReason.A_BINDING_FAILS)),
        ([binding(user=ALICE.user.id)], Allow(), Allow()),
        ([binding(user=uuid4())], Deny(DenyReason.NO_BINDING_MATCHES), Deny(DenyReason.A_BINDING_FAILS)),
        ([binding(group=GUESTS.id, negate=True)], Allow(), Allow()),
        ([binding(group=STAFF.id, negate=True)], Deny(DenyReason.NO_BINDING_MATCHES), Deny(DenyReason.A_BINDING_FAILS)),
        ([replace(NO, enabled=False)], Allow(open_to_all=True), Allow(open_to_all=True)),
        ([replace(YES, enabled=False), NO], Deny(DenyReason.NO_BINDING_MATCHES), Deny(DenyReason.A_BINDING_FAILS)),
    ],
)
def test_bindings_decide(bindings: list[Binding], of_any: object, of_all: object) -> None:
    assert decide(ALICE, replace(WIKI, policy_mode=PolicyMode.ANY), bindings) == of_any
    assert decide(ALICE, replace(WIKI, policy_mode=PolicyMode.ALL), bindings) == of_all


@given(st.lists(st.sampled_from([YES, NO])), st.sampled_from(PolicyMode))
def test_an_inactive_user_is_never_let_in(bindings: list[Binding], mode: PolicyMode) -> None:
    inactive = replace(ALICE, user=replace(ALICE.user, active=False))
    assert decide(inactive, replace(WIKI, policy_mode=mode), bindings) == Deny(DenyReason.USER_INACTIVE)
