"""May this person in? What an answer costs with and without the hash, and what a flood of sign-ins leaves of the rest.

The gate is asked over the real link with an outpost's own credentials; the bare server beside it is a gRPC one that
answers the same bytes.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.error import URLError

from control.auth.app_passwords import AppPasswordDraft, create
from control.auth.attempts import Attempt, PasswordGiven
from control.auth.deciding import Decider
from control.auth.passwords import Passwords
from control.auth.sessions import Origin
from control.domain.decision import Admitted, Channel
from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import Actor, Store
from dataplane.link.channel import gate_stub, open_call_channel
from dataplane.link.target import Credentials
from protos.outpost.v1 import gate_pb2
from tests.bench.checks import NUMBER, request_text, split
from tests.bench.load import Run, write_script, wrk
from tests.bench.stage import PASSWORD, Stage
from tests.support.browser_http import Visitor
from tests.support.links import Applicant

HASHES = 15
ASKED = 300
SIGN_INS = 40
FLOOD = 8
ROUNDS = 3
BENCH = Actor(name="bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Milliseconds each, but for runs of wrk: `calm` and `flooded`, alternated. `turned_away` are floods' 429s."""

    hashes: list[float]
    sign_ins: list[float]
    decided: list[float]
    asked: list[float]
    calm: list[Run]
    flooded: list[Run]
    answered: int
    turned_away: int


def measure(stage: Stage) -> Decisions:
    """Everything, on the stage's installation."""
    store = open_store(read_settings(Given(data=str(stage.garrison.data)), {}), migrate=False)
    secret = _app_password(store)
    calm, flooded, flood = _beside_a_flood(stage)
    return Decisions(
        hashes=list(_hashes()),
        sign_ins=[_timed(lambda: _sign_in(stage)) for _ in range(SIGN_INS)],
        decided=list(_decided(store, secret)),
        asked=list(_asked(stage, store, secret)),
        calm=calm,
        flooded=flooded,
        answered=flood.answered,
        turned_away=flood.turned_away,
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return (time.monotonic() - began) * 1000


def _sign_in(stage: Stage) -> None:
    """The form, the password and the page behind it: three requests and one hash."""
    page = Visitor().sign_in(f"{stage.garrison.url}/", "alice", PASSWORD)
    assert page.status == 200, f"{page.status} {page.url}"


def _hashes() -> Iterator[float]:
    passwords = Passwords()
    known = passwords.hash(PASSWORD)
    for _ in range(HASHES):
        yield _timed(lambda: passwords.verify(known, PASSWORD))


def _app_password(store: Store) -> str:
    with store.write(BENCH) as unit:
        alice = unit.users.get_named("alice")
        _, secret = create(unit, AppPasswordDraft(user=alice.id, name="bench", everywhere=True))
    return secret


def _decided(store: Store, secret: str) -> Iterator[float]:
    """In this process: the whole decision with its transaction, but no hash, no network and no ID token."""
    decider = Decider(store, Passwords())
    with store.read() as unit:
        application = unit.applications.get_named("bench").id
    attempt = Attempt(
        channel=Channel.HTTP,
        given=PasswordGiven(username="alice", password=secret),
        origin=Origin(address="192.0.2.7"),
        application=application,
        dialogue=False,
        actor=BENCH,
    )
    assert isinstance(decider.decide(attempt), Admitted)
    for _ in range(ASKED):
        yield _timed(lambda: decider.decide(attempt))


def _asked(stage: Stage, store: Store, secret: str) -> Iterator[float]:
    """Over the link, as an outpost asks: with TLS, the decision, and the session with its signed ID token."""
    credentials = _credentials(stage, store)
    with store.read() as unit:
        provider = unit.proxy_providers.get_named("bench").id
    request = gate_pb2.AuthenticateRequest(
        provider=str(provider),
        protocol=gate_pb2.PROTOCOL_HTTP,
        password=gate_pb2.PasswordCredentials(username="alice", password=secret),
        client_address="192.0.2.7",
    )
    channel = open_call_channel(credentials, credentials.addresses[0])
    with channel:
        stub = gate_stub(channel)
        assert stub.Authenticate(request, timeout=10).HasField("allowed")
        for _ in range(ASKED):
            yield _timed(lambda: stub.Authenticate(request, timeout=10))


def _credentials(stage: Stage, store: Store) -> Credentials:
    with store.read() as unit:
        outpost = unit.outposts.get_named("bench")
        applicant = Applicant(unit.tokens.of_user(outpost.service_account)[0].secret)
    answer = json.loads(applicant.enrol(store).body)
    return Credentials(
        certificate=answer["certificate"],
        private_key=applicant.key_pem().decode(),
        authority=answer["ca"],
        addresses=(f"127.0.0.1:{stage.garrison.link}",),
        outpost="",
        name="",
        issued=0.0,
        expires=0.0,
    )


class _Flood:
    """People who sign in at once, again and again, all from one address."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.turned_away = 0
        self._url = url
        self._ended = threading.Event()

    def run(self) -> None:
        """Until it is ended."""
        while not self._ended.is_set():
            with suppress(URLError, OSError):
                status = Visitor().sign_in(f"{self._url}/", "alice", PASSWORD).status
                self.answered += status == 200
                self.turned_away += status == 429

    def end(self) -> None:
        """Let them go."""
        self._ended.set()


@contextmanager
def _flooding(flood: _Flood) -> Iterator[None]:
    with ThreadPoolExecutor(FLOOD) as pool:
        for _ in range(FLOOD):
            pool.submit(flood.run)
        try:
            yield
        finally:
            flood.end()


def _beside_a_flood(stage: Stage) -> tuple[list[Run], list[Run], _Flood]:
    """Forward-auth checks alone, and beside a flood; the first round only warms up."""
    text = request_text(stage.question(stage.sign_in(), f"/page/{NUMBER}"))
    script = write_script(stage.folder / "flood.lua", [split(text)])
    calm, flooded, told = [], [], _Flood(stage.garrison.url)
    for _ in range(ROUNDS + 1):
        calm.append(wrk(stage.outpost.http, script, stage.outpost.program.process.pid))
        flood = _Flood(stage.garrison.url)
        with _flooding(flood):
            flooded.append(wrk(stage.outpost.http, script, stage.outpost.program.process.pid))
        told.answered += flood.answered
        told.turned_away += flood.turned_away
    return calm[1:], flooded[1:], told
