"""Tokens of outposts: list, show, replace, revoke."""

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import Outpost, Token
from control.fleet.tokens import TokenState, replace_token, revoke_token, token_state
from control.store import Event, Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.identity import actor
from control.web.pages import done, show, show_form

blueprint = Blueprint("tokens", __name__, url_prefix="/tokens")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All tokens: whose, since when, when last used."""
    with web().store.read() as unit:
        tokens = unit.tokens.all()
        users = unit.users.find_many({token.user for token in tokens})
        outposts = {outpost.service_account: outpost for outpost in unit.outposts.all()}
        states = {token.id: token_state(token, unit.now) for token in tokens}
    return render_template("tokens/index.html", tokens=tokens, users=users, outposts=outposts, states=states)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One token with its secret, to copy; that it was shown is in the audit trail."""
    with web().store.read() as unit:
        token = unit.tokens.get(key)
        outpost = unit.outposts.find_by_service_account(token.user)
        state = token_state(token, unit.now)
    if state is TokenState.VALID:
        record_shown(token)
    return show("tokens/detail.html", token=token, outpost=outpost, state=state)


@blueprint.route("/<uuid:key>/replace", methods=["GET", "POST"])
def replace(key: UUID) -> ResponseReturnValue:
    """A new secret for the outpost; this one is worth nothing from then on."""
    return _ask("tokens/replace.html", key, "token_replaced", _replace)


@blueprint.route("/<uuid:key>/revoke", methods=["GET", "POST"])
def revoke(key: UUID) -> ResponseReturnValue:
    """Make the token worth nothing; the outpost is locked out."""
    return _ask("tokens/revoke.html", key, "token_revoked", _revoke)


def record_shown(token: Token) -> None:
    """Keep in the audit trail that a page is about to tell the token's secret."""
    with web().store.write(actor()) as unit:
        unit.record(Event(action="viewed", kind="token", target=str(token.id), name=token.identifier))


def _ask(template: str, key: UUID, code: str, act: Callable[[Unit, Token, Outpost], None]) -> ResponseReturnValue:
    with web().store.read() as unit:
        token = unit.tokens.get(key)
        outpost = _outpost(unit, token)
        instances = unit.instances.of_outpost(outpost.id)
    back = url_for("admin.outposts.detail", key=outpost.id, _anchor="deployment")
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            act(unit, unit.tokens.get(key), unit.outposts.get(outpost.id))
            return done(back, code, name=outpost.name)
    return show_form(template, form, back, token=token, outpost=outpost, instances=instances, tone="danger")


def _outpost(unit: Unit, token: Token) -> Outpost:
    found = unit.outposts.find_by_service_account(token.user)
    return found if found is not None else unit.outposts.get_named(token.identifier)


def _replace(unit: Unit, _token: Token, outpost: Outpost) -> None:
    replace_token(unit, outpost)


def _revoke(unit: Unit, token: Token, _outpost: Outpost) -> None:
    revoke_token(unit, token)
