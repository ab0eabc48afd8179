"""From cookies to a judged session: opened once, remembered, and asked on every use whether it still holds."""

from collections.abc import Callable
from dataclasses import replace

from dataplane.gate import Gate, Identity, ProxySession, Refusal, SessionReference, Unavailable
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.cookies import find_session, find_token
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.revocations import Revocations


class Sessions:
    """Opens session cookies under the revocations of the present config and those made here since."""

    def __init__(self, gate: Gate, clock: Callable[[], float], metrics: Metrics) -> None:
        self._gate = gate
        self.clock = clock
        self.metrics = metrics
        self._revocations = Revocations()
        self._ended_here: dict[str, float] = {}

    def commit(self, revocations: Revocations) -> None:
        """Judge by these from now on. What was signed out here stays so until its sessions have run out."""
        now = self.clock()
        self._revocations = revocations
        self._ended_here = {id_: until for id_, until in self._ended_here.items() if until > now}

    def end_here(self, session: str, until: float) -> None:
        """Refuse this session from now on, without waiting for control."""
        self._ended_here[session] = max(until, self._ended_here.get(session, until))

    def find(self, application: Application, cookies: bytes) -> Opened | Unavailable | None:
        """The session that a Cookie header holds for this application; None for none that counts."""
        opened = application.opened_by_header.get(cookies)
        if opened is None:
            token = find_token(cookies, application.cookie)
            if token is None:
                return None
            opened = application.opened.get(token)
            if opened is None:
                self.metrics.cache["miss"] += 1
                return self._open(application, token)
            application.remember_header(cookies, opened)
        self.metrics.cache["hit"] += 1
        session = opened.session
        if session.expires <= self.clock() or session.id in self._ended_here:
            return None
        # Revocations change by commit alone. Config that names another application drops the cache; this judges anew.
        if self._revocations.is_ended(session, application.provider.id):
            return None
        return opened

    @staticmethod
    def find_bounds(application: Application, cookies: bytes) -> SessionReference | None:
        """Which session the cookies name, be it over or not; asks nobody."""
        token = find_token(cookies, application.cookie)
        match find_session(application.sealer, application.provider.id, token) if token is not None else None:
            case None:
                return None
            case SessionReference() as reference:
                return reference
            case ProxySession() as session:
                return SessionReference(
                    provider=application.provider.id,
                    session=session.id,
                    subject=session.identity.subject,
                    authenticated=session.authenticated,
                    expires=session.expires,
                )

    def admit(self, application: Application, session: ProxySession) -> Opened | None:
        """Judge an opened session: None when it is over, with what has changed put over it."""
        provider = application.provider.id
        if session.expires <= self.clock() or session.id in self._ended_here:
            return None
        if self._revocations.is_ended(session, provider):
            return None
        change = self._revocations.find_change(session)
        if change is None:
            return application.allow(session)
        if provider in change.denied_providers:
            return Opened(replace(session, identity=change.identity), True, b"")  # a tuple's field
        return application.allow(replace(session, identity=change.identity))

    def _open(self, application: Application, token: bytes) -> Opened | Unavailable | None:
        match find_session(application.sealer, application.provider.id, token):
            case None:
                return None
            case SessionReference() as reference:
                return self._look_up(application, token, reference)
            case ProxySession() as session:
                opened = self.admit(application, session)
                return application.remember(token, opened) if opened is not None else None

    def _look_up(
        self, application: Application, token: bytes, reference: SessionReference
    ) -> Opened | Unavailable | None:
        """Ask control once; a cookie that is over by its own bounds is not worth the question."""
        if reference.expires <= self.clock() or reference.session in self._ended_here:
            return None
        match self._gate.look_up_session(reference):
            case Unavailable() as unavailable:
                return unavailable
            case Refusal.ACCESS_DENIED:
                return application.remember(token, Opened(_nobody(reference), True, b""))
            case Refusal():
                return None
            case ProxySession() as session:
                opened = self.admit(application, session)
                return application.remember(token, opened) if opened is not None else None


def _nobody(reference: SessionReference) -> ProxySession:
    person = Identity(
        subject=reference.subject, username="", name="", email="", groups=(), entitlements=(), additional_headers=()
    )
    return ProxySession(
        id=reference.session,
        identity=person,
        authenticated=reference.authenticated,
        expires=reference.expires,
        id_token="",
    )
