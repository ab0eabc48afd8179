"""An administrator makes a directory in the interface, starts its outpost as the page says, and people are found."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stage import PASSWORD, Stage
from tests.support.browser import Watch
from tests.support.garrison import GARRISON
from tests.support.peers_program import Program, eventually, free_port, plain_environment, require

pytestmark = pytest.mark.interop

BASE = "DC=corp,DC=example"


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """Programs that a test started."""
    started: list[Program] = []
    yield started
    for program in started:
        program.kill()


def make_provider(page: Page) -> None:
    """Type, refusal, good form."""
    dialog = page.get_by_role("dialog")
    page.get_by_role("link", name="Create", exact=True).click()
    dialog.get_by_role("link", name="LDAP").click()
    dialog.get_by_label("Name", exact=True).fill("corp")
    dialog.get_by_label("Base DN").fill("example.com")
    dialog.get_by_label("Search group").select_option(label="staff")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_contain_text("no distinguished name")
    dialog.get_by_label("Base DN").fill(BASE)
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("corp")


def make_outpost(page: Page, stage: Stage) -> None:
    """From the provider's page: its type is chosen, and so is the provider."""
    page.get_by_role("link", name="Create an outpost of type LDAP").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("checkbox", name="Directory")).to_be_checked()
    expect(dialog.get_by_role("checkbox", name="Wiki")).to_be_hidden()
    dialog.get_by_label("Name", exact=True).fill("corp-ldap")
    dialog.get_by_text("Advanced settings").click()
    dialog.locator("[name=config]").fill(f"authentik_host: http://127.0.0.1:{stage.garrison.http}\n")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("corp-ldap")


def start(page: Page, stage: Stage, port: int) -> Program:
    """What the page shows, letter by letter; only the ports come from the environment."""
    page.get_by_role("button", name="Show token").click()
    page.get_by_role("tab", name="Command line").click()
    expect(page.locator("#text-command")).not_to_contain_text("PASTE-THE-TOKEN-HERE")
    text = page.locator("#text-command").inner_text()
    home = stage.folder / "directory"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(GARRISON).parent}{os.pathsep}{plain_environment()['PATH']}",
        "AUTHENTIK_LISTEN__LDAP": f"127.0.0.1:{port}",
        "AUTHENTIK_LISTEN__LDAPS": f"127.0.0.1:{free_port()}",
        "AUTHENTIK_LISTEN__METRICS": f"127.0.0.1:{free_port()}",
    }
    return Program("outpost of the snippet", ["bash", "-euc", text], environment)


def find(who: str, what: str, port: int) -> subprocess.CompletedProcess[str]:
    """ldapsearch, bound as a user of the directory."""
    command = [
        require("ldapsearch", "ldap-utils"),
        "-x",
        "-LLL",
        "-o",
        "ldif-wrap=no",
        "-H",
        f"ldap://127.0.0.1:{port}",
    ]
    bind = ["-D", f"cn={who},ou=users,{BASE}", "-w", PASSWORD, "-b", BASE, f"(uid={what})", "uid"]
    return subprocess.run([*command, *bind], capture_output=True, text=True, check=False, timeout=20)


def test_from_create_to_an_entry(page: Page, watch: Watch, stage: Stage, programs: list[Program]) -> None:
    watch.expects("status of 422")
    stage.sign_in(page, "/admin/providers/")
    make_provider(page)
    provider = page.url
    page.get_by_role("link", name="Create one", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Provider")).to_have_value(re.compile(provider.rstrip("/").rpartition("/")[2]))
    dialog.get_by_label("Name", exact=True).fill("Directory")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Directory")
    page.goto(provider)
    make_outpost(page, stage)
    port = free_port()
    programs.append(start(page, stage, port))
    expect(page.locator("#instances")).to_contain_text("Connected")
    eventually(lambda: "uid: bob" in find("alice", "bob", port).stdout, "the search group sees bob", within=10)
    assert "uid:" not in find("bob", "alice", port).stdout
    assert "uid: bob" in find("bob", "bob", port).stdout
    page.goto(provider)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("No outpost serves")).to_have_count(0)
