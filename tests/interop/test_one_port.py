"""HAProxy before everything, as the documentation has it: one port for browsers and for the link, TLS end to end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.garrison import Garrison, Outpost
from tests.support.garrison_docs import snippet
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, require

pytestmark = pytest.mark.interop

FRAME = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tls
    bind 127.0.0.1:{port}
{rules}
    default_backend browsers
backend link
    server link 127.0.0.2:{link}
backend browsers
    server door 127.0.0.1:{https}
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def garrison(folder: Path, port: int) -> Iterator[Garrison]:
    link = free_port()
    flags = ["--link", f"127.0.0.2:{link}", "--no-embedded-outpost"]
    environment = {"GARRISON_LINK_ADVERTISE": f":{port}"}
    running = Garrison(folder / "garrison", flags=flags, environment=environment, link=link).start()
    yield running
    running.stop()


@pytest.fixture
def haproxy(folder: Path, garrison: Garrison, port: int) -> Iterator[Program]:
    rules = snippet("docs/operations.md", "haproxy-link")
    path = folder / "haproxy.cfg"
    path.write_text(FRAME.format(port=port, rules=rules, link=garrison.link, https=garrison.https))
    running = Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(path)])
    eventually(lambda: browser(garrison, port) in (200, 204), "a browser gets through", alive=running)
    yield running
    running.kill()


def browser(garrison: Garrison, port: int) -> int:
    """What a browser gets by the port of HAProxy."""
    return ask(port, "/-/health/ready/", host=f"{garrison.host}:{garrison.https}", tls=True).status


@pytest.mark.usefixtures("haproxy")
def test_outposts_and_browsers_come_by_one_port_of_haproxy(garrison: Garrison, folder: Path, port: int) -> None:
    environment = {"AUTHENTIK_HOST": f"https://127.0.0.1:{port}", "AUTHENTIK_INSECURE": "true"}
    garrison.apply({"outposts": [{"name": "edge", "type": "proxy"}]})
    outpost = Outpost(garrison, "edge", folder / "edge", environment=environment).start()
    eventually(lambda: outpost.links == [f"127.0.0.1:{port}"], "it tells where the link is")
    eventually(lambda: [row["state"] for row in garrison.instances("edge")] == ["connected"], "control lists it")
    # HAProxy itself led it there: nothing passes through the front door.
    lines = ask(garrison.metrics, "/metrics").text.splitlines()
    passed = [float(line.split()[-1]) for line in lines if line.startswith("garrison_proxy_link_connections")]
    assert passed
    assert not any(passed)
    outpost.stop()
