"""Setting up an authenticator app: name, QR code, first code, and with the first app the recovery codes.

It stands outside the guard of the account's other pages: people whose group asks for a second factor come here before
anything else opens.
"""

from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask.typing import ResponseReturnValue

from control.auth import factors, sessions, totp
from control.auth.second_factor import Due
from control.auth.sessions import OpenedSession
from control.domain.factors import SECOND_FACTORS, Authenticator, Method
from control.web import identity
from control.web.account.forms import FirstCodeForm, NameForm
from control.web.context import web
from control.web.forms import refusing, saving
from control.web.guards import freshly_signed_in, let_people_in
from control.web.identity import actor, find_due, get_person, get_sign_in, safe_next
from control.web.pages import done
from control.web.qr import qr_code

blueprint = Blueprint("enrolment", __name__, url_prefix="/account/second-factors/new")

NAME = "Authenticator app"


@blueprint.before_request
def let_people_enrol() -> ResponseReturnValue | None:
    """Nothing for whoever is signed in and has given all but what is set up here."""
    return None if find_due() is Due.ENROLMENT else let_people_in()


@blueprint.route("", methods=["GET", "POST"])
@freshly_signed_in
def create() -> ResponseReturnValue:
    """Say what an app is, and what this one will be called."""
    onward, user = _onward(), get_person().user.id
    with web().store.read() as unit:
        is_first = not factors.has_second_factor(unit, user)
        form = NameForm(name=_free_name({each.name for each in unit.authenticators.of_user(user)}))
    if form.validate_on_submit():
        with saving(form) as unit:
            begun = factors.begin_enrolment(unit, user, form.name.data or "")
            return redirect(url_for(".confirm", key=begun.id, next=onward), 303)
    page = render_template("account/enrol.html", form=form, onward=onward, is_due=_is_due(), is_first=is_first)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key>", methods=["GET", "POST"])
@freshly_signed_in
def confirm(key: UUID) -> ResponseReturnValue:
    """Show the secret, and take the first code that is made of it."""
    onward, user, form = _onward(), get_person().user, FirstCodeForm()
    with web().store.read() as unit:
        waiting = factors.get_enrolment(unit, user.id, key)
    if form.validate_on_submit():
        with refusing(form):
            return _confirmed(key, form.code.data or "", onward)
    form.code.data = ""
    page = render_template(
        "account/confirm.html", form=form, authenticator=waiting, onward=onward, is_due=_is_due(), **_secret(waiting)
    )
    return page, 422 if form.is_submitted() else 200


def _confirmed(key: UUID, code: str, onward: str) -> ResponseReturnValue:
    """The app counts, and this session has used it."""
    sign_in = get_sign_in()
    with web().store.write(actor()) as unit:
        codes = factors.confirm_enrolment(unit, sign_in.user, key, code)
        lacking = not SECOND_FACTORS & set(sign_in.methods)
        opened = sessions.step_up(unit, sign_in.id, Method.ONE_TIME_CODE) if lacking else None
    if not codes:
        return _with_session(done(onward, "authenticator_added"), opened)
    page = render_template("account/recovery_codes.html", codes=codes, onward=onward, is_new=True)
    return _with_session(page, opened)


def _with_session(answer: ResponseReturnValue, opened: OpenedSession | None) -> ResponseReturnValue:
    response = make_response(answer)
    if opened is not None:
        form_session.clear()
        identity.remember(response, opened)
    return response


def _secret(waiting: Authenticator) -> dict[str, object]:
    """What an app is told: as a QR code, and as text for whoever can't scan it."""
    uri = totp.otpauth_uri(web().brand.title, _account_name(), waiting.secret)
    return {
        "qr": qr_code(uri, "QR code for your authenticator app"),
        "secret": totp.secret_text(waiting.secret),
        "uri": uri,
    }


def _account_name() -> str:
    """Which account an app shows: with our host, as people have accounts at several places."""
    username = get_person().user.username
    return username if "@" in username else f"{username}@{urlsplit(web().settings.url).hostname}"


def _onward() -> str:
    return safe_next(request.args.get("next")) if "next" in request.args else url_for("account.second_factors.index")


def _is_due() -> bool:
    return find_due() is Due.ENROLMENT


def _free_name(taken: set[str]) -> str:
    return next(name for name in (NAME, *(f"{NAME} {number}" for number in range(2, 100))) if name not in taken)
