"""Who may open a page: strangers sign in first, and people whose second factor is due give it or set one up.

Every page that speaks of somebody stands behind one of these; only the pages that lead through them do without.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec

from flask import Response, abort, redirect, request
from flask.typing import ResponseReturnValue

from control.auth.second_factor import Due
from control.web import identity
from control.web.context import web
from control.web.identity import find_due, find_person, find_session

# How long a sign-in is fresh enough to change what people sign in with.
FRESH = timedelta(minutes=10)

Arguments = ParamSpec("Arguments")
View = Callable[Arguments, ResponseReturnValue]


def let_people_in() -> ResponseReturnValue | None:
    """Nothing for whoever is signed in with all that is asked for: the view follows."""
    if find_person() is None:
        return ask_to_sign_in()
    return None if find_due() is Due.NOTHING else _lead(identity.step_up_url(_wanted()))


def let_administrators_in() -> ResponseReturnValue | None:
    """Nothing for administrators. Raises Forbidden for other people."""
    answer = let_people_in()
    if answer is not None:
        return answer
    return None if identity.get_person().superuser else abort(403)


def signed_in(view: View[Arguments]) -> View[Arguments]:
    """A view for whoever is signed in with all that is asked for."""

    @wraps(view)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
        answer = let_people_in()
        return view(*args, **kwargs) if answer is None else answer

    return guarded


def freshly_signed_in(view: View[Arguments]) -> View[Arguments]:
    """A view for whoever signed in just now: others do so once more, and come back here."""

    @wraps(view)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> ResponseReturnValue:
        if is_fresh():
            return view(*args, **kwargs)
        return _lead(identity.sign_in_url(_wanted(), again=True))

    return guarded


def is_fresh() -> bool:
    """Whether the person signed in just now."""
    session = find_session()
    return session is not None and web().clock() - session.sign_in.authenticated <= FRESH


def ask_to_sign_in() -> ResponseReturnValue:
    """Send the browser to sign in and then back here; a posted form comes back to the start."""
    return _lead(identity.sign_in_url(_wanted()))


def _wanted() -> str:
    """Where to come back to: this page, the one that a form lies on, or the start."""
    if request.headers.get("HX-Request"):
        return identity.path_of(request.headers.get("HX-Current-URL", ""))
    rule = request.url_rule
    can_be_read = rule is not None and "GET" in (rule.methods or set())
    return identity.safe_next(request.full_path.rstrip("?")) if can_be_read else "/"


def _lead(url: str) -> ResponseReturnValue:
    """Send the browser on, also one that asks for a part of a page alone."""
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": url})
    return redirect(url, 303)
