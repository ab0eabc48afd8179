"""Who may use an application, by bindings, in every mode."""

from dataclasses import replace
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.application import Binding, PolicyMode
from control.domain.decision import Allow, Deny, DenyReason
from control.domain.identity import Person, ancestors
from control.domain.policy import decide, explain
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


PLACES = [UUID(int=number) for number in range(5)]


@st.composite
def rules(draw: st.DrawFn) -> list[Binding]:
    """Rules about a few groups and users, in any order, with equal places too."""
    about = st.sampled_from([{"group": key} for key in PLACES] + [{"user": ALICE.user.id}, {"user": PLACES[0]}])
    made = st.builds(
        lambda who, order, enabled, negate: Binding(
            id=uuid4(), application=WIKI.id, order=order, enabled=enabled, negate=negate, **who
        ),
        about,
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
    )
    return draw(st.lists(made, max_size=6))


@st.composite
def people(draw: st.DrawFn) -> tuple[Person, frozenset[UUID]]:
    """Somebody in nested groups, and the groups that apply."""
    above = st.frozensets(st.sampled_from(PLACES), max_size=2)
    tree = {key: builders.group(str(key.int), id=key, parents=draw(above)) for key in PLACES}
    applying = ancestors(draw(above), tree)
    user = replace(ALICE.user, active=draw(st.sampled_from([True, True, True, False])))
    return Person(user=user, groups=tuple(tree[key] for key in applying)), applying


def says_yes(binding: Binding, groups: frozenset[UUID]) -> bool:
    """What a rule says, spelt out."""
    is_about = binding.user == ALICE.user.id if binding.user else binding.group in groups
    return not is_about if binding.negate else is_about


@given(people(), rules(), st.sampled_from(PolicyMode))
def test_the_decision_is_what_the_rules_that_count_say_together(
    someone: tuple[Person, frozenset[UUID]], bindings: list[Binding], mode: PolicyMode
) -> None:
    person, groups = someone
    answers = [says_yes(each, groups) for each in bindings if each.enabled]
    together = any(answers) if mode is PolicyMode.ANY else all(answers)
    expected = person.user.active and (together or not answers)
    decision = decide(person, replace(WIKI, policy_mode=mode), bindings)
    assert isinstance(decision, Allow) == expected
    assert decision == Allow(open_to_all=True) or answers or not person.user.active


@given(people(), rules(), st.sampled_from(PolicyMode))
def test_the_explanation_is_of_that_decision_and_of_every_rule(
    someone: tuple[Person, frozenset[UUID]], bindings: list[Binding], mode: PolicyMode
) -> None:
    person, groups = someone
    application = replace(WIKI, policy_mode=mode)
    explanation = explain(person, application, bindings)
    assert explanation.decision == decide(person, application, bindings)
    assert [part.binding for part in explanation.rules] == sorted(bindings, key=lambda each: each.order)
    for part in explanation.rules:
        assert part.counts == part.binding.enabled
        assert part.passes == says_yes(part.binding, groups)
        assert part.matches == (part.passes != part.binding.negate)


@given(people(), rules(), st.sampled_from(PolicyMode), st.randoms())
def test_the_order_of_rules_doesnt_matter(
    someone: tuple[Person, frozenset[UUID]], bindings: list[Binding], mode: PolicyMode, random: Random
) -> None:
    application, shuffled = replace(WIKI, policy_mode=mode), list(bindings)
    random.shuffle(shuffled)
    moved = [replace(each, order=random.randrange(9)) for each in shuffled]
    assert decide(someone[0], application, moved) == decide(someone[0], application, bindings)


@given(people(), rules(), st.sampled_from(PolicyMode))
def test_negating_every_rule_turns_any_into_not_all(
    someone: tuple[Person, frozenset[UUID]], bindings: list[Binding], mode: PolicyMode
) -> None:
    """De Morgan: the negated rules under the other mode decide the opposite, where any rule counts."""
    person = someone[0]
    other = PolicyMode.ALL if mode is PolicyMode.ANY else PolicyMode.ANY
    turned = [replace(each, negate=not each.negate) for each in bindings]
    if person.user.active and any(each.enabled for each in bindings):
        decision = decide(person, replace(WIKI, policy_mode=mode), bindings)
        opposite = decide(person, replace(WIKI, policy_mode=other), turned)
        assert isinstance(decision, Allow) != isinstance(opposite, Allow)


@given(st.lists(st.sampled_from([YES, NO])), st.sampled_from(PolicyMode))
def test_an_inactive_user_is_never_let_in(bindings: list[Binding], mode: PolicyMode) -> None:
    inactive = replace(ALICE, user=replace(ALICE.user, active=False))
    assert decide(inactive, replace(WIKI, policy_mode=mode), bindings) == Deny(DenyReason.USER_INACTIVE)
