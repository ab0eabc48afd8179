"""The reverse proxy snippets: those of the documentation, filled in, and read by the programs they are for."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from control.domain.application import ProxyMode, ProxyProvider
from control.web.providers.snippets import Place, place_of, proxy_snippets, snippets_at
from tests.support import builders
from tests.support.peers_program import require
from tests.support.site import Site

DOCS = Path(__file__).parents[4] / "docs" / "protocols" / "proxy.md"
EXAMPLE = Place(
    host="app.example.com",
    port=443,
    tls=True,
    sign_in="",
    outpost="outpost.example.com:9000",
    application="127.0.0.1:3000",
)
PROVIDERS = [
    builders.provider("wiki"),
    builders.provider("plain", external_host="http://plain.example.com"),
    builders.provider("port", external_host="https://port.example.com:8443"),
    builders.provider(
        "domain", mode=ProxyMode.FORWARD_DOMAIN, external_host="https://in.corp.test", cookie_domain="corp.test"
    ),
    builders.provider("sending", basic_auth_enabled=True, basic_auth_password_attribute="pw"),
]


def documented(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found
    return found.group(1)


def rendered(site: Site, provider: ProxyProvider) -> dict[str, str]:
    with site.app.test_request_context():
        return {snippet.key: snippet.text for snippet in proxy_snippets(provider, (), "localhost:9000")}


def test_they_are_those_of_the_documentation(site: Site) -> None:
    with site.app.test_request_context():
        snippets = {snippet.key: snippet.text for snippet in snippets_at(EXAMPLE)}
        domain = {
            snippet.key: snippet.text
            for snippet in snippets_at(replace(EXAMPLE, sign_in="https://sign-in.example.com"))
        }
    for name, text in snippets.items():
        assert text.strip() == documented(name).strip(), name
    assert documented("nginx-domain").strip() in domain["nginx"]


def test_where_the_provider_sends_credentials_they_are_passed_on(site: Site) -> None:
    plain, sending = (rendered(site, provider) for provider in (PROVIDERS[0], PROVIDERS[-1]))
    for name in plain:
        added = documented(f"{name}-basic")
        assert added in sending[name]
        assert sending[name].replace(added, "").replace("sending", "wiki") == plain[name]


@pytest.mark.interop
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_nginx_accepts_it(site: Site, tmp_path: Path, provider: ProxyProvider) -> None:
    nginx = require("nginx", "nginx-light")
    text = rendered(site, provider)["nginx"]
    pair = certificate(tmp_path)
    text = re.sub(r"/etc/ssl/(certs|private)/\S+\.(pem|key);", f"{pair};", text)
    text = text.replace("outpost.example.com", "127.0.0.1")
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n")
    done = subprocess.run(
        [nginx, "-t", "-c", str(config), "-p", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.interop
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_caddy_accepts_it(site: Site, tmp_path: Path, provider: ProxyProvider) -> None:
    caddy = require("caddy", "caddy")
    config = tmp_path / "Caddyfile"
    config.write_text(rendered(site, provider)["caddy"])
    arguments = [caddy, "adapt", "--config", str(config), "--adapter", "caddyfile", "--validate"]
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_yaml_of_traefik_and_envoy(site: Site, provider: ProxyProvider) -> None:
    snippets = rendered(site, provider)
    router = yaml.safe_load(snippets["traefik"])["http"]["routers"]["app"]
    assert router["rule"] == f"Host(`{place_of(provider, (), '').host}`)"
    assert yaml.safe_load(snippets["envoy"])["typed_config"]["http_service"]["server_uri"]["uri"].startswith("http://")


def test_places() -> None:
    assert [place_of(provider, (), "").site for provider in PROVIDERS] == [
        "wiki.example.com",
        "http://plain.example.com",
        "port.example.com:8443",
        "app.corp.test",
        "sending.example.com",
    ]
    assert place_of(PROVIDERS[3], (), "").sign_in == "https://in.corp.test"


def test_the_embedded_outpost_is_where_garrison_is(site: Site) -> None:
    page = site.admin.get(f"/admin/providers/{site.world.wiki.id}/").text
    assert "http://localhost:9000" in page
    assert "outpost.example.com" not in page


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate."""
    pair = folder / "pair.pem"
    subject = ["-subj", "/CN=x", "-days", "2", "-keyout", str(pair), "-out", str(folder / "cert.pem")]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run(["openssl", "req", "-x509", "-nodes", *curve, *subject], check=True, capture_output=True)
    pair.write_text(pair.read_text() + (folder / "cert.pem").read_text())
    return pair
