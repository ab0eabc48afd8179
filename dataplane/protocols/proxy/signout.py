"""Signing out at the edge: the cookies go, the session is refused here at once, control ends all born of it."""

import logging
from collections.abc import Callable

from dataplane.gate import EventAction, Gate, SessionReference
from dataplane.ledger import Happening, Ledger
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.cookies import MAX_PARTS, set_cookie
from dataplane.protocols.proxy.messages import Headers, Response
from dataplane.protocols.proxy.pages import redirect
from dataplane.protocols.proxy.sessions import Sessions

REMEMBERED_SECONDS = 86400.0
"""How long at least a session is known to be signed out, though its cookie has run out."""

_log = logging.getLogger("dataplane.proxy")


class SignOut:
    """Ends sessions at the browser's wish."""

    def __init__(self, gate: Gate, sessions: Sessions, ledger: Ledger, end_here: Callable[[str, float], None]) -> None:
        self._gate = gate
        self._end_here = end_here
        self._sessions = sessions
        self._ledger = ledger

    def end(self, application: Application, asking: Asking) -> Response:
        """Sign out and send the browser to control, which ends its own session with it."""
        for session in self._sessions.find_bounds(application, asking.cookies):
            self._end(application, asking, session)
        return redirect(application.end_session_url, _removals(application))

    def _end(self, application: Application, asking: Asking, session: SessionReference) -> None:
        """Once: the same cookie again costs a redirect, not a message to every worker and to control."""
        if self._sessions.is_signed_out(session):
            return
        self._end_here(session.session, max(session.expires, self._sessions.clock() + REMEMBERED_SECONDS))
        self._gate.end_session(application.provider.id, session.session)
        extra = {"request_id": asking.id, "host": asking.host, "subject": session.subject}
        _log.info("signed out", extra=extra)
        happening = Happening(
            action=EventAction.SIGNED_OUT,
            provider=application.provider.id,
            subject=session.subject,
            client_address=asking.client,
        )
        self._ledger.record(happening, asking.id)


def _removals(application: Application) -> Headers:
    names = [application.cookie, *(application.cookie + b"_%d" % part for part in range(1, MAX_PARTS))]
    scopes = (application.session_scope, *application.other_scopes)
    return (
        *(set_cookie(name, b"", scope, 0) for scope in scopes for name in names),
        set_cookie(application.cookie + b"_v", b"", application.flow_scope, 0),
    )
