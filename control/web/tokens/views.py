"""Tokens of outposts: list, show, replace, revoke."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.outpost import Outpost, Token
from control.fleet.tokens import TokenState, replace_token, revoke_token, token_state
from control.store import Event, Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.identity import actor
from control.web.pages import done, paged, search_text, show, show_form

blueprint = Blueprint("tokens", __name__, url_prefix="/tokens")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All tokens or those searched for: whose, since when, when last used."""
    query = search_text()
    with web().store.read() as unit:
        outposts = {outpost.service_account: outpost for outpost in unit.outposts.all()}
        tokens = unit.tokens.all()
        paging = paged(_found(tokens, {account: each.name for account, each in outposts.items()}, query), query)
        users = unit.users.find_many({token.user for token in paging.items})
        states = {token.id: token_state(token, unit.now) for token in paging.items}
        retiring = _retiring(tokens, unit.now)
    values = {"users": users, "outposts": outposts, "states": states, "retiring": retiring}
    return render_template("tokens/index.html", paging=paging, total=len(tokens), **values)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One token with its secret, to copy; that it was shown is in the audit trail."""
    with web().store.read() as unit:
        token = unit.tokens.get(key)
        outpost = unit.outposts.find_by_service_account(token.user)
        state = token_state(token, unit.now)
        retiring = _retiring(unit.tokens.of_user(token.user), unit.now)
    if state is TokenState.VALID:
        record_shown(token)
    return show("tokens/detail.html", token=token, outpost=outpost, state=state, retiring=retiring)


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
        valid = [each for each in unit.tokens.of_user(token.user) if token_state(each, unit.now) is TokenState.VALID]
    back = url_for("admin.outposts.detail", key=outpost.id, _anchor="deployment")
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            act(unit, unit.tokens.get(key), unit.outposts.get(outpost.id))
            return done(back, code, name=outpost.name)
    values = {"token": token, "outpost": outpost, "instances": instances, "valid": valid, "tone": "danger"}
    return show_form(template, form, back, **values)


def _retiring(tokens: Iterable[Token], now: datetime) -> frozenset[UUID]:
    """Those of these tokens beside which a newer one of the same account is valid."""
    valid = [token for token in tokens if token_state(token, now) is TokenState.VALID]
    newest = {token.user: token.id for token in sorted(valid, key=lambda each: each.created)}
    return frozenset(token.id for token in valid if newest[token.user] != token.id)


def _found(tokens: Iterable[Token], names: Mapping[UUID, str], query: str) -> list[Token]:
    """Those of outposts and with identifiers that hold the text; by outpost, the newest first."""
    sought = query.lower()
    found = (each for each in tokens if sought in names.get(each.user, "").lower() or sought in each.identifier)
    return sorted(found, key=lambda each: (names.get(each.user, "").lower(), -each.created.timestamp()))


def _outpost(unit: Unit, token: Token) -> Outpost:
    found = unit.outposts.find_by_service_account(token.user)
    return found if found is not None else unit.outposts.get_named(token.identifier)


def _replace(unit: Unit, _token: Token, outpost: Outpost) -> None:
    replace_token(unit, outpost)


def _revoke(unit: Unit, token: Token, _outpost: Outpost) -> None:
    revoke_token(unit, token)
