"""Signing out at the edge: the cookies go, the session is refused here at once, control ends all born of it."""

import logging

from dataplane.gate import Gate
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.cookies import MAX_PARTS, set_cookie
from dataplane.protocols.proxy.messages import Headers, Response
from dataplane.protocols.proxy.pages import redirect
from dataplane.protocols.proxy.sessions import Sessions

_log = logging.getLogger("dataplane.proxy")


class SignOut:
    """Ends sessions at the browser's wish."""

    def __init__(self, gate: Gate, sessions: Sessions) -> None:
        self._gate = gate
        self._sessions = sessions

    def end(self, application: Application, asking: Asking) -> Response:
        """Sign out and send the browser to control, which ends its own session with it."""
        bounds = self._sessions.find_bounds(application, asking.cookies)
        if bounds is not None:
            self._sessions.end_here(bounds.session, bounds.expires)
            self._gate.end_session(application.provider.id, bounds.session)
            extra = {"request_id": asking.id, "host": asking.host, "subject": bounds.subject}
            _log.info("signed out", extra=extra)
        return redirect(application.end_session_url, _removals(application))


def _removals(application: Application) -> Headers:
    names = [application.cookie, *(application.cookie + b"_%d" % part for part in range(1, MAX_PARTS))]
    return (
        *(set_cookie(name, b"", application.session_scope, 0) for name in names),
        set_cookie(application.cookie + b"_v", b"", application.flow_scope, 0),
    )
