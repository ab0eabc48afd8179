"""Whether somebody may use an application and why: account, second factor and rules, each with what speaks for it.

Nothing is decided here: the account's rules are those of sign-in, the verdict that of control.domain.policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from control.auth import app_passwords, factors, second_factor
from control.auth.attempts import may_use_app_passwords, may_use_password
from control.domain.application import Application
from control.domain.decision import Allow, Decision
from control.domain.identity import Group, Person, User, find_path
from control.domain.policy import RulePart, explain
from control.store import Unit
from control.web.applications.bindings import Rule, read_rules
from control.web.lockouts.reading import Lockout, read_lockouts


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedRule:
    """A rule, its part in the decision, and the way up to its group where the person is in it."""

    rule: Rule
    part: RulePart
    path: Sequence[Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """By what it may come in, of app passwords those good for the application; and what locks it at the moment."""

    by_password: bool
    app_passwords: int
    lockouts: Sequence[Lockout]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """Whether one has to be used, by whose word (of groups with the way up to each), and whether there is one."""

    needed: bool
    has_one: bool
    by_application: bool
    by_groups: Sequence[Sequence[Group]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it."""

    person: Person
    application: Application
    decision: Decision
    rules: Sequence[TestedRule]
    account: Account
    second_factor: SecondFactor

    @property
    def allowed(self) -> bool:
        """Whether the rules let the person in, and the account can sign in somehow."""
        account = self.account
        return isinstance(self.decision, Allow) and (account.by_password or account.app_passwords > 0)

    @property
    def counted(self) -> int:
        """How many rules are heard."""
        return sum(each.part.counts for each in self.rules)

    @property
    def saying_yes(self) -> int:
        """How many of those say yes."""
        return sum(each.part.counts and each.part.passes for each in self.rules)


def read_report(unit: Unit, user: User, application: Application) -> Report:
    """Test whether the user may use the application."""
    person, direct, groups = unit.memberships.person(user), unit.memberships.groups_of(user.id), unit.groups.by_id()
    rules = {rule.binding.id: rule for rule in read_rules(unit, application.id)}
    explanation = explain(person, application, [rule.binding for rule in rules.values()])
    tested = [
        TestedRule(
            rule=rules[part.binding.id],
            part=part,
            path=(find_path(direct, part.binding.group, groups) or ()) if part.binding.group is not None else (),
        )
        for part in explanation.rules
    ]
    asking = [find_path(direct, group.id, groups) or (group,) for group in person.groups if group.second_factor]
    return Report(
        person=person,
        application=application,
        decision=explanation.decision,
        rules=tested,
        account=_account(unit, user, application),
        second_factor=_second_factor(unit, person, application, asking),
    )


def _account(unit: Unit, user: User, application: Application) -> Account:
    good = [
        each
        for each in unit.app_passwords.of_user(user.id)
        if not app_passwords.is_expired(each, unit.now) and (each.everywhere or application.id in each.applications)
    ]
    return Account(
        by_password=may_use_password(user) and user.password_hash is not None,
        app_passwords=len(good) if may_use_app_passwords(user) else 0,
        lockouts=read_lockouts(unit, unit.failures.locked_about(user.id)),
    )


def _second_factor(
    unit: Unit, person: Person, application: Application, asking: Sequence[Sequence[Group]]
) -> SecondFactor:
    has_one = factors.has_second_factor(unit, person.user.id)
    return SecondFactor(
        needed=second_factor.is_needed(person, application, has_one),
        has_one=has_one,
        by_application=application.second_factor,
        by_groups=asking,
    )
