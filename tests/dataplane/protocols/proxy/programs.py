"""Programs that sign in with each request, and an outpost whose control lets them in."""

import base64
from dataclasses import replace

from dataplane.config import ProxyProvider
from dataplane.gate import (
    Allowed,
    BasicCredentials,
)
from dataplane.gate import Answer as Verdict
from tests.dataplane.protocols.proxy.builders import NOW, OPTIONS, WIKI, Outpost, session

URL = "https://wiki.example.com/page"
DIALECTS = ["traefik", "caddy", "nginx", "envoy"]
YES = Allowed(session=session(id="a1", authenticated=NOW), attributes="{}", cache=600.0)
SENDING = replace(WIKI, basic_auth_enabled=True)
BASIC = BasicCredentials(username="wiki-alice", password="wiki secret")


def basic(username: str = "alice", password: str = "s3cret") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def outpost_of(*providers: ProxyProvider, verdict: Verdict = YES) -> Outpost:
    outpost = Outpost(*(providers or (WIKI,)))
    outpost.gate.verdict = verdict
    outpost.commit(options=replace(OPTIONS, bind_cache=600.0, offline_grace=86400.0))
    return outpost
