"""The page that asks for a code, for the second step of a sign-in and for a session that was opened by less.

And the answers that every step of a sign-in ends with: on with a session, or what was wrong.
"""

from math import ceil
from urllib.parse import urlencode

from flask import Response, make_response, redirect, render_template, request
from flask import session as form_session
from flask.typing import ResponseReturnValue

from control.auth.sessions import OpenedSession
from control.domain.decision import Refused, RefusedReason
from control.web import identity
from control.web.signin.forms import CodeForm
from control.web.signin.wanted import find_application, wanted

_STATUS = {RefusedReason.LOCKED_OUT: 429, RefusedReason.BUSY: 429}


def show_code_page(
    form: CodeForm, action: str, username: str = "", refused: Refused | None = None
) -> ResponseReturnValue:
    """The form, with what was wrong with the last code. `username` is whose session it is, where there is one.

    The field takes both kinds of codes; the address says which is meant, as phones show digits alone for the one.
    """
    form.next.data = onward = wanted(form.next.data)
    form.code.data = ""
    application, by_recovery = find_application(onward), "recovery" in request.args
    page = render_template(
        "signin/code.html",
        form=form,
        action=f"{action}?recovery=1" if by_recovery else action,
        by_recovery=by_recovery,
        other_kind=f"{action}?{urlencode({'next': onward} if by_recovery else {'next': onward, 'recovery': 1})}",
        username=username,
        refused=refused,
        application=application,
        another=identity.sign_in_url(onward, again=True),
    )
    return page if refused is None else refusal(page, refused)


def refusal(page: str, refused: Refused) -> Response:
    """The page as the answer to credentials that opened nothing."""
    response = make_response(page, _STATUS.get(refused.reason, 422))
    if refused.retry_after:
        response.headers["Retry-After"] = str(ceil(refused.retry_after.total_seconds()))
    return response


def lead_on(opened: OpenedSession, onward: str) -> Response:
    """On with the session just opened. The CSRF token goes with the old one: a planted one is worth nothing now."""
    form_session.clear()
    response = make_response(redirect(onward, 303))
    identity.remember(response, opened)
    return response
