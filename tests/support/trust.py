"""What tests of trust share: people at an outpost who go on working and sign in, and the turns of a token."""

import http.client
import json
import signal
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from control.auth.gatekeeper import Redemption
from control.domain.grant import IssuedSession, Refusal
from control.domain.outpost import InstanceState, Token
from control.fleet.rotation import retire_tokens, rotate_token
from control.store import Actor
from tests.support.fleet import Deployed
from tests.support.links import FakeGatekeeper, issued_session
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN

HOST = "wiki.example.com"


class GenerousGatekeeper(FakeGatekeeper):
    """Gives a session for every code, which is the nonce that the ID token has to have."""

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        prepared = super().redeem_code(caller, redemption)
        ends = datetime.now(UTC) + timedelta(hours=1)
        session = prepared if isinstance(prepared, IssuedSession) else replace(issued_session(), expires=ends)
        claims = urlsafe_b64encode(json.dumps({"nonce": redemption.code}).encode()).rstrip(b"=").decode()
        return replace(session, id_token=f"e30.{claims}.c2ln")


def asked(outpost: OutpostProcess, path: str, cookies: str = "", host: str = HOST) -> http.client.HTTPResponse:
    """What the outpost answers a browser, or nginx that asks for one."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=20)
    with closing(connection):
        headers = {"Host": host, "X-Forwarded-Proto": "https", "X-Original-URL": f"https://{host}/", "Cookie": cookies}
        connection.request("GET", f"/outpost.goauthentik.io/{path}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer


def cookies_of(answer: http.client.HTTPResponse) -> str:
    """The cookies that an answer sets, as a browser would send them."""
    pairs = (each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie") or ())
    return "; ".join(pair for pair in pairs if not pair.endswith("="))


def sign_in(outpost: OutpostProcess) -> tuple[int, str]:
    """A person comes back from control with a code: the status of the answer, and the session's cookie if any."""
    begun = asked(outpost, "start")
    query = parse_qs(urlsplit(begun.headers["Location"]).query)
    back = f"callback?X-authentik-auth-callback=true&code={query['nonce'][0]}&state={query['state'][0]}"
    answer = asked(outpost, back, cookies_of(begun))
    return answer.status, cookies_of(answer)


@dataclass
class User:
    """Somebody who goes on working, and now and then somebody else who signs in; what they are answered."""

    outpost: OutpostProcess
    cookies: str
    checks: list[int] = field(default_factory=list)
    sign_ins: list[tuple[int, bool]] = field(default_factory=list)

    def work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.checks.append(asked(self.outpost, "auth/nginx", self.cookies).status)

    def arrive(self, stop: threading.Event) -> None:
        while not stop.is_set():
            status, session = sign_in(self.outpost)
            self.sign_ins.append((status, bool(session)))


@contextmanager
def busy(outpost: OutpostProcess) -> Iterator[User]:
    """Users at work while the block runs."""
    _, cookies = sign_in(outpost)
    assert asked(outpost, "auth/nginx", cookies).status == 200
    user, stop = User(outpost, cookies), threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in (user.work, user.arrive)]
    for thread in threads:
        thread.start()
    try:
        yield user
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def rotate(control: RealControl, deployed: Deployed) -> Token:
    with control.store.write(ADMIN) as unit:
        return rotate_token(unit, deployed.outpost)


def retire(control: RealControl, deployed: Deployed) -> None:
    with control.store.write(ADMIN) as unit:
        retire_tokens(unit, deployed.outpost)


def is_used(control: RealControl, token: Token) -> bool:
    """Whether an instance has enrolled with the token."""
    with control.store.read() as unit:
        return unit.tokens.get(token.id).last_used is not None


def losses(outpost: OutpostProcess) -> float:
    return outpost.metrics()["garrison_outpost_link_losses_total"]


def stop(outpost: OutpostProcess) -> None:
    outpost.signal(signal.SIGTERM)
    assert outpost.wait() == 0


def leave(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> None:
    """Stop the outpost, and have control notice."""
    stop(outpost)
    control.instance(deployed, state=InstanceState.DISCONNECTED)
