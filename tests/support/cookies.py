"""Session cookies as an outpost itself would have set them, and checks with them."""

import http.client
import os
import time
from contextlib import closing

from dataplane.config import ProxyProvider
from dataplane.gate import Identity, ProxySession
from dataplane.link.reading import resource
from dataplane.protocols.proxy.cookies import Sealer, cookie_name, seal_session, split_token
from tests.support.fake_control import FakeControl
from tests.support.outpost_process import OutpostProcess

HOST = "wiki.example.com"


def cookie_for(control: FakeControl, username: str) -> str:
    """A session at the provider `wiki` that the control holds."""
    config = resource(control.resources["provider/wiki"].SerializeToString())
    assert isinstance(config, ProxyProvider)
    now = time.time()
    person = Identity(
        subject=f"id of {username}",
        username=username,
        name=username,
        email="",
        groups=(),
        entitlements=(),
        additional_headers=(),
    )
    signed_in = ProxySession(
        id=f"s-{username}", identity=person, authenticated=now - 60, expires=now + 3600, id_token="a.b.c"
    )
    (token,) = split_token(seal_session(Sealer(config.id, config.session_keys, os.urandom), signed_in))
    return f"{cookie_name(config.client_id).decode()}={token.decode()}"


def ask(outpost: OutpostProcess, path: str, cookie: str, client: str = "192.0.2.7", host: str = HOST) -> int:
    """The status of a request that a reverse proxy passes on for a client."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=30)
    headers = {
        "Host": host,
        "X-Original-URL": f"https://{host}/",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": client,
        "Cookie": cookie,
    }
    with closing(connection):
        connection.request("GET", f"/outpost.goauthentik.io/{path}", headers=headers)
        return connection.getresponse().status


def ask_patiently(outpost: OutpostProcess, path: str, cookie: str) -> int:
    """The same; 0 when the connection breaks, as of a worker that was killed."""
    try:
        return ask(outpost, path, cookie)
    except OSError:
        return 0
