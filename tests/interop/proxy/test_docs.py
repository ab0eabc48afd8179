"""What docs/protocols/mode-proxy.md shows is what runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.interop.proxy.asking import authority, curl
from tests.interop.proxy.world import INTERNAL, ProxyWorld
from tests.interop.world import PASSWORD
from tests.support.browser_http import Visitor
from tests.support.fake_authority import Authority
from tests.support.garrison import Outpost
from tests.support.garrison_docs import snippet, snippets, unnamed_blocks
from tests.support.peers import seen_by_application
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, require
from tests.support.peers_sites import Site
from tests.support.peers_tls import self_signed
from tests.support.upstreams import ApacheTls, ready, start_apache

pytestmark = pytest.mark.interop
PAGE = "docs/protocols/mode-proxy.md"


def put(text: str, replacements: dict[str, str]) -> str:
    """A snippet with the test's addresses."""
    for old, new in replacements.items():
        assert old in text, f"the snippet no longer has {old!r}"
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def documented(world: ProxyWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outpost, Site]]:
    """The quick start, carried out."""
    folder = tmp_path_factory.mktemp("documented")
    outpost = Outpost(
        world.garrison, "documented", folder / "outpost", https=free_port(),
        environment={"AUTHENTIK_HOST_BROWSER": world.garrison.url},
    )  # fmt: skip
    site = Site(provider="wiki", host="wiki.example.test", scheme="http", port=outpost.http, mode="proxy")
    text = put(
        snippet(PAGE, "blueprint"),
        {
            "https://wiki.example.com": site.external_host,
            "http://10.0.0.5:3000": f"http://127.0.0.1:{world.echo.port}",
            "name: edge": "name: documented",
        },
    )
    world.garrison.apply(yaml.safe_load(text))
    outpost.start()
    yield outpost, site
    outpost.stop()


def signed_in(site: Site) -> str:
    """alice's session."""
    visitor = Visitor()
    page = visitor.sign_in(f"{site.url}/deep?x=1", "alice", PASSWORD)
    assert (page.status, page.url) == (200, f"{site.url}/deep?x=1"), page.text[:2000]
    return site.cookie_header(visitor)


def test_every_snippet_is_run_here() -> None:
    assert set(snippets(PAGE)) == {"blueprint", "override", "options", "haproxy", "haproxy-tcp", "problem"}
    assert [language for language, _ in unnamed_blocks(PAGE)] == ["", ""], "only drawings have no name"


def test_the_quick_start_leads_to_the_application(documented: tuple[Outpost, Site]) -> None:
    _, site = documented
    answer = ask(site.port, "/", host=authority(site), headers=[("Cookie", signed_in(site))])
    assert seen_by_application(answer.body).identity["username"] == "alice"


def test_an_override_for_one_person(world: ProxyWorld, documented: tuple[Outpost, Site]) -> None:
    _, site = documented
    person = world.person("staff")
    given = put(
        snippet(PAGE, "override"),
        {"username: alice": f"username: {person}", "http://10.0.0.9:3000": f"http://127.0.0.1:{world.echo.port}"},
    )
    world.garrison.apply(yaml.safe_load(given))
    visitor = Visitor()
    visitor.sign_in(f"{site.url}/", person, PASSWORD)
    answer = ask(site.port, "/", host=authority(site), headers=[("Cookie", site.cookie_header(visitor))])
    assert seen_by_application(answer.body).header("Host") == "staging.internal"


def test_the_options_lead_to_an_application_with_tls(
    world: ProxyWorld, documented: tuple[Outpost, Site], tmp_path: Path
) -> None:
    _, site = documented
    authority_of_ours, port = Authority(), free_port()
    pair = authority_of_ours.issue("wiki.internal")
    assert INTERNAL != "wiki.internal"
    (world.folder / "documented").mkdir()
    world.programs.append(start_apache(world.folder / "documented", free_port(), [ApacheTls(port=port, pair=pair)]))
    (world.folder / "documented" / "pages" / "index.html").write_text("over TLS")
    authority_file = tmp_path / "ca.pem"
    authority_file.write_text(authority_of_ours.pem)
    text = put(
        snippet(PAGE, "options"),
        {
            "https://wiki.example.com": site.external_host,
            "https://10.0.0.5:8443": f"https://127.0.0.1:{world.ports.nobody}",
            "https://10.0.0.6:8443": f"https://127.0.0.1:{port}",
            "/etc/garrison/internal-ca.pem": str(authority_file),
        },
    )
    given: dict[str, Any] = yaml.safe_load(text)
    cookies = signed_in(site)
    world.garrison.apply(given)
    try:
        eventually(
            lambda: ask(site.port, "/", host=authority(site), headers=[("Cookie", cookies)]).text == "over TLS",
            "the second address serves over TLS",
        )
    finally:
        back = {"internal_host": f"http://127.0.0.1:{world.echo.port}", "internal_host_server_name": ""}
        world.garrison.apply({"providers": [{"name": "wiki", "type": "proxy", **back}]})


def test_what_programs_are_told(world: ProxyWorld) -> None:
    shown = json.loads(snippet(PAGE, "problem"))
    for username, extra in (("alice", set()), ("root", {"detail"})):
        reply = curl(world, "nobody", "-H", "Accept: application/json", cookies=world.session("nobody", username))
        told = json.loads(reply.body)
        assert (reply.status, told["error"]) == (502, shown["error"])
        assert told.keys() == shown.keys() - {"detail"} | extra


def haproxy(folder: Path, text: str, *ports: int) -> Program:
    """HAProxy with a snippet."""
    config = folder / "haproxy.cfg"
    config.write_text("defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n" + text)
    return ready(Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(config)]), *ports)


@pytest.mark.parametrize("name", ["haproxy", "haproxy-tcp"])
def test_haproxy_as_shown(documented: tuple[Outpost, Site], tmp_path: Path, name: str) -> None:
    outpost, site = documented
    port = free_port()
    certificate, key = self_signed(tmp_path, "*.example.test")
    pair = tmp_path / "pair.pem"
    pair.write_bytes(certificate.read_bytes() + key.read_bytes())
    given = {":443": f"127.0.0.1:{port}"}
    if name == "haproxy":
        given |= {"/etc/haproxy/example.com.pem": str(pair), "outpost.example.com:9000": outpost.address}
    else:
        given |= {"outpost.example.com:9443": f"127.0.0.1:{outpost.https}"}
    program = haproxy(tmp_path, put(snippet(PAGE, name), given), port)
    try:
        answer = ask(port, "/", host=authority(site), headers=[("Cookie", signed_in(site))], tls=True)
        received = seen_by_application(answer.body)
        assert (received.header("X-Forwarded-Proto"), received.identity["username"]) == ("https", "alice")
    finally:
        program.kill()
