"""What `make run` brings up: `garrison serve --demo`, and that what it prints is true."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.support.browser_http import PAGE, Visitor
from tests.support.garrison import Garrison, short_folder
from tests.support.peers_http import ask
from tests.support.peers_program import eventually, require

pytestmark = pytest.mark.interop


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The running system and what it printed for a person to read."""

    garrison: Garrison
    text: str
    url: str

    def password(self, username: str) -> str:
        """The password it printed for somebody."""
        match = re.search(rf"(?:^ *{username} +|{username}, initial password: )(\S+)", self.text, re.MULTILINE)
        assert match is not None, f"no password for {username} in:\n{self.text}"
        return match[1]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with short_folder() as folder:
        garrison = Garrison(folder / "garrison", flags=["--demo"], environment={"GARRISON_BOOTSTRAP_PASSWORD": ""})
        garrison.start()
        match = eventually(lambda: re.search(r"(http://demo.\S+)", printed(garrison)), "the demo is announced")
        for address in (match[1], proxied_url(garrison)):
            eventually(partial(answers, address), f"the demo application answers at {address}")
        yield Demo(garrison=garrison, text=printed(garrison), url=match[1].rstrip("/"))
        garrison.stop()


def answers(address: str) -> bool:
    return Visitor().get(f"{address}/").status == 200


def proxied_url(garrison: Garrison) -> str:
    match = re.search(r"(http://proxied.\S+)", printed(garrison))
    assert match is not None
    return match[1]


def printed(garrison: Garrison) -> str:
    lines = garrison.program.output().splitlines()
    return "\n".join(line for line in lines if not line.startswith("{"))


def test_who_has_access_sees_the_headers_of_the_application(demo: Demo) -> None:
    page = Visitor().sign_in(demo.url + "/", "alice", demo.password("alice"))
    assert page.status == 200
    assert page.url == demo.url + "/"
    assert "x-authentik-username" in page.text.lower()
    assert "alice" in page.text


def test_who_has_none_is_refused(demo: Demo) -> None:
    assert Visitor().sign_in(demo.url + "/", "bob", demo.password("bob")).status == 403


def test_the_same_in_mode_proxy(demo: Demo) -> None:
    url = proxied_url(demo.garrison)
    assert url == f"http://proxied.localhost:{demo.garrison.http}"
    page = Visitor().sign_in(url + "/", "alice", demo.password("alice"))
    assert (page.status, page.url) == (200, url + "/")
    assert "Hello, Alice Doe" in page.text
    assert Visitor().sign_in(url + "/", "bob", demo.password("bob")).status == 403


def test_the_lines_for_curl_work_as_they_are_printed(demo: Demo) -> None:
    lines = [line for line in demo.text.splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 2
    for line in lines:
        done = subprocess.run(["sh", "-euc", line], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout.split()[1] in ("302", "401"), done.stdout


def test_the_administrator_signs_in_with_the_password_printed_once(demo: Demo) -> None:
    page = Visitor().sign_in(demo.garrison.url + "/admin/", "akadmin", demo.password("akadmin"))
    assert page.url == demo.garrison.url + "/admin/"
    assert page.status == 200


def test_metrics_of_core_and_outpost_come_together(demo: Demo) -> None:
    Visitor().get(demo.url + "/", headers=PAGE)
    metrics = ask(demo.garrison.metrics, "/metrics").text
    names = {line.split("{")[0].split(" ")[0] for line in metrics.splitlines() if line and not line.startswith("#")}
    assert "authentik_outpost_proxy_request_duration_seconds_count" in names
    assert any(name.startswith("garrison_") for name in names)
    assert "garrison_ldap_directory_loaded" in names
    for path, status in (("/", 204), ("/outpost.goauthentik.io/ping", 204), ("/-/health/ready/", 204)):
        assert ask(demo.garrison.metrics, path).status == status


def test_the_line_for_ldapsearch_works_as_it_is_printed(demo: Demo) -> None:
    require("ldapsearch", "ldap-utils")
    (line,) = (line for line in demo.text.splitlines() if line.strip().startswith("ldapsearch "))
    done = subprocess.run(["sh", "-euc", line], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert "uid: bob" in done.stdout
    as_bob = line.replace("cn=alice", "cn=bob").replace(demo.password("alice"), demo.password("bob"))
    refused = subprocess.run(["sh", "-euc", as_bob], capture_output=True, text=True, check=False, timeout=20)
    assert refused.returncode == 50, refused.stderr  # insufficientAccessRights, RFC 4511 appendix A


def test_every_log_line_is_json_with_a_time_and_an_event(demo: Demo) -> None:
    lines = [line for line in demo.garrison.program.lines() if line.startswith("{")]
    assert lines
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        assert {"timestamp", "log"} <= entry.keys() or {"timestamp", "level", "event"} <= entry.keys()
    requests = [entry for entry in entries if entry.get("event") == "request"]
    assert requests
    assert all(entry["request_id"] for entry in requests)


def test_what_the_outposts_tell_of_requests_comes_through_whole(demo: Demo) -> None:
    Visitor().sign_in(demo.url + "/", "alice", demo.password("alice"))

    def told() -> set[tuple[str, str]]:
        lines = [line for line in demo.garrison.program.lines() if line.startswith('{"timestamp')]
        entries = [json.loads(line) for line in lines if '"log":' in line]
        return {(entry["log"], entry["path"]) for entry in entries}

    callback = "/outpost.goauthentik.io/callback"
    eventually(lambda: ("access", callback) in told(), "the access log tells of the sign-in")
    assert ("decision", "/") in told()


def test_no_secret_is_logged(demo: Demo) -> None:
    Visitor().sign_in(demo.url + "/", "alice", demo.password("alice"))
    log = "\n".join(line for line in demo.garrison.program.lines() if line.startswith("{"))
    assert demo.password("alice") not in log
    assert demo.garrison.token("Embedded outpost") not in log
