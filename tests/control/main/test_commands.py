"""The command line without a server: exit codes, what is printed where, and what is made on the way."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from control.domain.outpost import Instance, InstanceState
from control.fleet.tokens import get_token
from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import SYSTEM, Store
from tests.support.garrison import GARRISON

PASSWORD = "a-bootstrap-password"


def garrison(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command, run to its end."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("GARRISON_", "AUTHENTIK_"))}
    given |= {"GARRISON_BOOTSTRAP_PASSWORD": PASSWORD, **environment}
    return subprocess.run([GARRISON, *arguments], capture_output=True, text=True, timeout=60, check=False, env=given)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def blueprint(tmp_path: Path) -> str:
    path = tmp_path / "b.yaml"
    path.write_text("users: [{username: alice}]\noutposts: [{name: edge}]\n")
    return str(path)


def test_apply_prints_a_line_for_each_object(data: str, blueprint: str) -> None:
    first = garrison("apply", blueprint, "--data", data)
    assert (first.returncode, first.stdout, first.stderr) == (0, "created user alice\ncreated outpost edge\n", "")
    again = garrison("apply", blueprint, "--data", data)
    assert (again.returncode, again.stdout) == (0, "unchanged user alice\nunchanged outpost edge\n")


def test_the_database_is_for_its_owner_also_in_a_folder_that_is_not(data: str, blueprint: str) -> None:
    Path(data).mkdir(mode=0o755)
    garrison("apply", blueprint, "--data", data)
    assert _open_to_others(data) == []
    # As an earlier version left it.
    (Path(data) / "garrison.db").chmod(0o644)
    garrison("apply", blueprint, "--data", data)
    assert _open_to_others(data) == []


def _open_to_others(data: str) -> list[str]:
    files = [file for file in Path(data).rglob("*") if not file.is_symlink()]
    assert files
    return [file.name for file in files if file.stat().st_mode & 0o077]


def test_a_dry_run_changes_nothing(data: str, blueprint: str) -> None:
    dry = garrison("apply", blueprint, "--dry-run", "--data", data)
    assert (dry.returncode, dry.stdout) == (0, "created user alice\ncreated outpost edge\n")
    assert garrison("token", "edge", "--data", data).returncode == 1


def test_apply_on_a_new_database_makes_the_administrator(data: str, blueprint: str) -> None:
    done = garrison("apply", blueprint, "--data", data, GARRISON_BOOTSTRAP_PASSWORD="")
    assert done.stdout == "created user alice\ncreated outpost edge\n"
    assert done.stderr.startswith("First administrator: akadmin, initial password: ")


def test_a_bad_file_is_one_line_a_problem_and_code_1(data: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("users: [{username: a, emial: x}, {}]\nendpoints: []\n")
    done = garrison("apply", str(bad), "--data", data)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1:3] for line in lines] == [
        [str(bad), "endpoints"],
        [str(bad), "users[0].emial"],
        [str(bad), "users[1].username"],
    ]


def test_a_token_is_printed_alone(data: str, blueprint: str) -> None:
    garrison("apply", blueprint, "--data", data)
    done = garrison("token", "edge", "--data", data)
    assert (done.returncode, len(done.stdout.strip()), done.stdout.count("\n")) == (0, 43, 1)
    assert garrison("token", "Embedded outpost", "--data", data).stdout not in {"", done.stdout}


def audited(data: str) -> list[tuple[str, str]]:
    """Who did what, as far as tokens and authorities go."""
    with opened(data).read() as unit:
        return sorted((each.actor, each.action) for each in unit.audit.all() if each.action.endswith("rotated"))


def opened(data: str) -> Store:
    """The installation's database."""
    return open_store(read_settings(Given(data=data), {}), migrate=False)


def test_a_token_is_rotated_retired_and_replaced(data: str, blueprint: str) -> None:
    garrison("apply", blueprint, "--data", data)
    printed = [garrison("token", "edge", *change, "--data", data) for change in ([], ["--rotate"], ["--retire"])]
    assert [(done.returncode, done.stderr) for done in printed] == [(0, "")] * 3
    first, rotated, retired = (done.stdout for done in printed)
    assert (rotated == first, retired == rotated) == (False, True)
    assert garrison("token", "edge", "--replace", "--data", data).stdout not in {first, rotated}
    assert audited(data) == [("cli", "token rotated")]
    assert garrison("token", "edge", "--rotate", "--retire", "--data", data).returncode == 2
    assert garrison("token", "none", "--rotate", "--data", data).stderr == "garrison: no outpost 'none'\n"


def test_retiring_says_who_still_has_the_old_token(data: str, blueprint: str) -> None:
    """And tells apart who lives on by its state folder, who is turned away, and who says nothing of tokens."""
    garrison("apply", blueprint, "--data", data)
    garrison("token", "edge", "--rotate", "--data", data)
    with opened(data).write(SYSTEM) as unit:
        edge = unit.outposts.get_named("edge")
        newest = get_token(unit, edge).fingerprint
        seen = Instance(
            id=uuid4(),
            outpost=edge.id,
            uid="5b0c",
            hostname="edge-1",
            state=InstanceState.CONNECTED,
            last_seen=unit.now,
            environment_token="an-older-one",
            held_token=newest,
        )
        has_not = replace(seen, id=uuid4(), uid="5b0d", hostname="edge-2", held_token="")
        silent = replace(has_not, id=uuid4(), uid="5b0e", hostname="edge-3", environment_token="")
        current = replace(has_not, id=uuid4(), uid="5b0f", hostname="edge-4", environment_token=newest)
        unit.instances.save([seen, has_not, silent, current])
    done = garrison("token", "edge", "--retire", "--data", data)
    assert (done.returncode, len(done.stdout.strip())) == (0, 43)
    assert done.stderr.splitlines() == [
        "garrison: edge-1 (5b0c) is started with another token: without its state folder it could not come back",
        "garrison: edge-2 (5b0d) doesn't have the new token at all: it is turned away",
        "garrison: edge-3 (5b0e) is of an older version: it is turned away unless it was started with the new token",
    ]


def test_the_authority_is_rotated(data: str, blueprint: str) -> None:
    garrison("apply", blueprint, "--data", data)
    done = garrison("rotate-authority", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    first = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in first] == ["retires", "signs"]
    again = [line.split() for line in garrison("rotate-authority", "--data", data).stdout.splitlines()]
    assert [line[0] for line in again[:2]] == [line[0] for line in first]
    assert ("cli", "rotated") in audited(data)
    for _ in range(2):
        assert garrison("rotate-authority", "--data", data).returncode == 0
    refused = garrison("rotate-authority", "--data", data)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("garrison: authority: too many (found '5'); expected fewer than 5 at once;")


def test_an_outpost_that_is_not_there(data: str, blueprint: str) -> None:
    garrison("apply", blueprint, "--data", data)
    done = garrison("token", "none", "--data", data)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "garrison: no outpost 'none'\n")


@pytest.mark.parametrize("arguments", [("token", "edge"), ("outposts",), ("rotate-authority",)])
def test_a_mistyped_folder_is_no_new_installation(data: str, arguments: tuple[str, ...]) -> None:
    done = garrison(*arguments, "--data", data)
    expected = f"garrison: --data: found {data!r}; expected a data folder of garrison; there is no garrison.db\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert not Path(data).exists()


def test_outposts_without_instances(data: str, blueprint: str) -> None:
    garrison("apply", blueprint, "--data", data)
    done = garrison("outposts", "--json", "--data", data)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert garrison("outposts", "--data", data).stdout.startswith("OUTPOST  INSTANCE  STATE")


@pytest.mark.parametrize(
    "arguments", [(), ("none",), ("apply",), ("serve", "--nope"), ("token",), ("apply", "x", "--dry"), ("outpost",)]
)
def test_bad_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    done = garrison(*arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_outpost_becomes_the_data_plane() -> None:
    done = garrison("outpost", "radius")
    assert done.returncode == 2
    assert done.stderr == "garrison-outpost: type radius: not served by this version (served: proxy, ldap)\n"


def test_help_shows_no_hidden_command() -> None:
    done = garrison("--help")
    assert done.returncode == 0
    assert "serve" in done.stdout
    assert "_web" not in done.stdout


def test_a_bad_setting_is_one_line(data: str, blueprint: str) -> None:
    done = garrison("apply", blueprint, "--data", data, GARRISON_URL="garrison.example.com")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("garrison: GARRISON_URL: found 'garrison.example.com'; expected an http(s) URL")


def test_a_driver_that_is_not_installed_is_said(data: str, blueprint: str) -> None:
    done = garrison("apply", blueprint, "--data", data, GARRISON_DATABASE_URL="postgresql://u@127.0.0.1:1/x")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_database_elsewhere(tmp_path: Path, blueprint: str) -> None:
    url = f"sqlite:///{tmp_path / 'else.db'}"
    garrison("apply", blueprint, "--data", str(tmp_path / "a"), GARRISON_DATABASE_URL=url)
    assert (tmp_path / "else.db").exists()
    assert not (tmp_path / "a" / "garrison.db").exists()
