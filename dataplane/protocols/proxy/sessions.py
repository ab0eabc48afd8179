"""From cookies to a judged session: opened once, remembered, and asked on every use whether it still holds."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from dataplane.config import Edit
from dataplane.gate import Gate, Identity, ProxySession, Refusal, SessionReference, Unavailable
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.cookies import find_session, find_tokens
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.revocations import Revocations

REFUSED_SECONDS = 30.0
"""How long control's refusal of a session is remembered."""
MAX_REFUSED = 10_000


class Sessions:
    """Opens session cookies under the revocations of the present config and those made here since."""

    def __init__(self, gate: Gate, clock: Callable[[], float], metrics: Metrics) -> None:
        self._gate = gate
        self.clock = clock
        self.metrics = metrics
        self._revocations = Revocations()
        self._ended_here: dict[str, float] = {}
        self._refused: dict[tuple[str, str], float] = {}
        """By provider and session: until when control need not be asked again."""

    def commit(self, revocations: Edit) -> None:
        """Judge by these too from now on. What was signed out here stays so until its sessions have run out."""
        self._revocations.commit(revocations)

    def end_here(self, session: str, until: float) -> None:
        """Refuse this session from now on, without waiting for control."""
        self._ended_here[session] = max(until, self._ended_here.get(session, until))
        self._forget_ended()

    def _forget_ended(self) -> None:
        """Drop what has run out, the oldest first; each is looked at once."""
        now = self.clock()
        while (oldest := next(iter(self._ended_here), None)) is not None and self._ended_here[oldest] <= now:
            del self._ended_here[oldest]

    def find(self, application: Application, cookies: bytes) -> Opened | Unavailable | None:
        """The session that a Cookie header holds for this application; None for none that counts."""
        opened = application.opened_by_header.get(cookies)
        if opened is not None and self._is_current(opened) and self._holds(application, opened):
            self.metrics.cache["hit"] += 1
            return opened
        return self._search(application, cookies)

    def find_bounds(self, application: Application, cookies: bytes) -> Iterator[SessionReference]:
        """Which sessions the cookies name, be they over or not; asks nobody."""
        for token in find_tokens(cookies, application.cookie):
            match find_session(application.sealer, application.provider.id, token):
                case SessionReference() as reference:
                    yield reference
                case ProxySession() as session:
                    yield SessionReference(
                        provider=application.provider.id,
                        session=session.id,
                        subject=session.identity.subject,
                        authenticated=session.authenticated,
                        expires=session.expires,
                    )

    def find_ended(self, application: Application, cookies: bytes) -> Iterator[Identity]:
        """Whose sessions the cookies hold that were ended before their time; asks nobody."""
        provider = application.provider.id
        for token in find_tokens(cookies, application.cookie):
            found = find_session(application.sealer, provider, token)
            if found is None or application.ends(found) <= self.clock():
                continue
            session = _nobody(found) if isinstance(found, SessionReference) else found
            if session.id in self._ended_here or self._revocations.is_ended(session, provider):
                yield session.identity

    def is_signed_out(self, session: SessionReference) -> bool:
        """Whether everybody knows already that this sign-in is over."""
        return session.session in self._ended_here or self._revocations.is_signed_out(session)

    def admit(self, application: Application, session: ProxySession, *, by_credentials: bool = False) -> Opened | None:
        """Judge an opened session: None when it is over, with what has changed put over it."""
        change, provider = self._revocations.find_change(session), application.provider.id
        current = session
        if change is not None:
            current = replace(session, identity=change.identity, basic=change.basic.get(provider))
        if change is not None and provider in change.denied_providers:
            opened = application.deny(current, change)
        else:
            opened = application.allow(current, change, by_credentials=by_credentials)
        return opened if self._holds(application, opened) else None

    def admit_again(self, application: Application, session: ProxySession) -> Opened | None:
        """The same for a session that credentials open with each request."""
        opened = application.opened_by_session.get(session)
        if opened is not None and self._is_current(opened):
            return opened if self._holds(application, opened) else None
        opened = self.admit(application, session, by_credentials=True)
        return None if opened is None else application.remember_session(session, opened)

    def judge_again(self, application: Application, opened: Opened, *, same: bool) -> Opened | None:
        """What was opened, as it would be now; None when it is over. `same`: it was for this very application."""
        if same and self._is_current(opened):
            return opened if self._holds(application, opened) else None
        return self.admit(application, opened.session)

    def _is_current(self, opened: Opened) -> bool:
        """Whether nothing else has become true of the person since: otherwise the cookie has to be judged anew."""
        return self._revocations.find_change(opened.session) is opened.change

    def _holds(self, application: Application, opened: Opened) -> bool:
        """Whether a session that was opened once still counts. Config that names another application drops it."""
        session = opened.session
        if opened.until <= self.clock() or session.id in self._ended_here:
            return False
        return not self._revocations.is_ended(session, application.provider.id)

    def _search(self, application: Application, cookies: bytes) -> Opened | Unavailable | None:
        """The first session that may pass, else the first answer there is: what is over may precede what counts."""
        answer: Opened | Unavailable | None = None
        for token in find_tokens(cookies, application.cookie):
            found = application.opened.get(token)
            if found is None or not self._is_current(found):
                self.metrics.cache["miss"] += 1
                opened = self._open(application, token)
            elif self._holds(application, found):
                self.metrics.cache["hit"] += 1
                application.remember_header(cookies, found)
                opened = found
            else:
                opened = None
            if isinstance(opened, Opened) and not opened.denied:
                return opened
            answer = answer or opened
        return answer

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
        """Ask control once; a cookie that is over by its own bounds is not worth the question, nor is a refused one."""
        now = self.clock()
        if application.ends(reference) <= now or reference.session in self._ended_here:
            return None
        refused = (reference.provider, reference.session)
        if self._refused.get(refused, 0.0) > now:
            return None
        match self._gate.look_up_session(reference):
            case Unavailable() as unavailable:
                return unavailable
            case Refusal.ACCESS_DENIED:
                nobody = _nobody(reference)
                denied = application.deny(nobody, self._revocations.find_change(nobody))
                return application.remember(token, denied)
            case Refusal():
                self._remember_refused(refused, now)
                return None
            case ProxySession() as session:
                opened = self.admit(application, session)
                return application.remember(token, opened) if opened is not None else None

    def _remember_refused(self, refused: tuple[str, str], now: float) -> None:
        if len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[refused] = now + REFUSED_SECONDS


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
