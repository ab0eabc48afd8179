"""What the documentation shows is what runs: every snippet has a test by its name."""

import re
import subprocess

import pytest
import yaml

from tests.support.garrison_docs import ROOT, snippets, unnamed_blocks
from tests.support.peers_sites import PAGE

pytestmark = pytest.mark.interop


def test_every_snippet_of_the_proxy_page_is_run() -> None:
    # nginx, caddy, traefik and envoy stand before the applications of the shared world; see peers_sites.
    # service-hosts and ingress-nginx are in test_confusion, curl and what sends credentials in test_header_auth.
    assert set(snippets(PAGE)) == {
        "nginx", "nginx-domain", "caddy", "traefik", "envoy", "service-hosts", "ingress-nginx",
        "curl", "nginx-basic", "caddy-basic", "traefik-basic", "envoy-basic",
    }  # fmt: skip
    assert [language for language, _ in unnamed_blocks(PAGE)] == [""], "only the drawing has no name"


def test_the_traefik_routes_lead_the_outposts_paths_to_the_outpost() -> None:
    http = yaml.safe_load(snippets(PAGE)["traefik"])["http"]
    assert http["routers"]["app-outpost"]["priority"] > http["routers"]["app"]["priority"]
    assert http["routers"]["app"]["middlewares"] == ["garrison"]
    assert set(http["services"]) == {router["service"] for router in http["routers"].values()}


def test_the_commands_of_the_readme_exist() -> None:
    commands = [line for _, text in unnamed_blocks("README.md") for line in text.splitlines() if line]
    assert commands
    for command in commands:
        assert re.fullmatch(r"make [a-z-]+", command), f"{command!r}: say here how a test runs it"
        done = subprocess.run(["make", "--dry-run", command.split()[1]], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
