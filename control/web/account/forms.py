"""Forms about second factors and app passwords, of the own account and of the admin's user page."""

from datetime import datetime, timedelta
from uuid import UUID

from wtforms import HiddenField, PasswordField, StringField

from control.auth.app_passwords import AppPasswordDraft
from control.auth.proving import prove
from control.domain.decision import RefusedReason
from control.domain.errors import Invalid, Problem
from control.web import identity
from control.web.context import web
from control.web.filters import duration
from control.web.forms import Form, Many

EVERYWHERE, CHOSEN = "everywhere", "chosen"
# In days; "" never ends.
LIFETIMES = ("30", "90", "365", "")


class NameForm(Form):
    """What something is called, and where to go afterwards."""

    name = StringField()
    next = HiddenField()


class FirstCodeForm(Form):
    """The first code of a new app."""

    code = StringField()


class ProofForm(Form):
    """The password or a code, of whoever sits at an open session."""

    proof = PasswordField()


class AppPasswordForm(Form):
    """A new app password."""

    name = StringField()
    lifetime = StringField(default="365")
    scope = StringField(default=EVERYWHERE)
    applications = Many()


def check_proof(form: ProofForm) -> None:
    """Check what was typed. Raises Invalid."""
    session = identity.find_session()
    if session is None:
        raise LookupError("nobody is signed in: the view lacks a guard")
    refused = prove(web().store, identity.passwords(), identity.actor(), session, form.proof.data or "")
    if refused is None:
        return
    match refused.reason:
        case RefusedReason.LOCKED_OUT | RefusedReason.BUSY:
            problem = Problem(field="proof", code="too_often", expected=duration(refused.retry_after))
        case _:
            problem = Problem(field="proof", code="wrong_proof", expected="your password or a code")
    raise Invalid([problem])


def app_password_draft(form: AppPasswordForm, user: UUID, now: datetime, second_factor: bool) -> AppPasswordDraft:
    """What the form asks for. Raises Invalid."""
    return AppPasswordDraft(
        user=user,
        name=form.name.data or "",
        expires=_expires(form.lifetime.data or "", now),
        everywhere=_choice(form.scope.data or "", "scope", (EVERYWHERE, CHOSEN)) == EVERYWHERE,
        second_factor=second_factor,
        applications=_applications(form),
    )


def _expires(days: str, now: datetime) -> datetime | None:
    return now + timedelta(days=int(days)) if _choice(days, "lifetime", LIFETIMES) else None


def _choice(found: str, field: str, choices: tuple[str, ...]) -> str:
    if found not in choices:
        raise Invalid([Problem(field=field, code="not_a_choice", found=found, expected="a choice of the list")])
    return found


def _applications(form: AppPasswordForm) -> frozenset[UUID]:
    try:
        return frozenset(UUID(text) for text in form.applications.data or [])
    except ValueError:
        expected = "applications of the list"
        raise Invalid([Problem(field="applications", code="not_found", found="no id", expected=expected)]) from None
