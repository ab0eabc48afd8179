"""What a configuration of SSH says about a host, held to what ssh(1) itself makes of it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.integrations.docker.ssh_config import SshHost, host_of
from control.integrations.model import TargetAway

_CONFIG = """
Include more
Host a* !ab
  Port 2201
  User anna
  IdentityFile ~/.ssh/%h.key
Host ab
  HostName %h.example
  ProxyJump bob@jump:22,last
Host *
  User everybody
  IdentityFile /opt/every.key
Match host a1
  HostKeyAlias alias
"""


@pytest.mark.interop
@pytest.mark.parametrize("place", ["a1", "ab", "x", "me@a1:99", "included"])
def test_as_ssh_itself_understands_it(tmp_path: Path, place: str) -> None:
    config = tmp_path / "config"
    config.write_text(_CONFIG)
    (tmp_path / "more").write_text("Host included\n  HostName 192.0.2.1\n  Port 7\n")
    # ssh(1) looks for what is included beside a person's own file alone.
    absolute = tmp_path / "absolute"
    absolute.write_text(_CONFIG.replace("Include more", f"Include {tmp_path}/more"))

    found = host_of(place, config)

    told = _ssh_says(place, absolute)
    assert (found.name, str(found.port), found.user) == (told["hostname"], told["port"], told["user"])
    assert found.jumps == (("bob@jump:22", "last") if place == "ab" else ())
    assert found.known_as == told.get("hostkeyalias", "")
    assert [path.name for path in found.identities] == [
        Path(each.replace("%h", "a1")).name for each in told["identityfile"].split()
    ]


def test_without_a_file(tmp_path: Path) -> None:
    assert host_of("engine.example", None) == SshHost(name="engine.example")
    there = host_of("me@[2001:db8::1]:2222", tmp_path / "none")
    assert (there.name, there.user, there.port) == ("2001:db8::1", "me", 2222)
    assert there.known_name == "[2001:db8::1]:2222"


def test_usual_identities_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").touch()

    assert host_of("x", tmp_path / "config").identities == (tmp_path / "id_rsa",)


@pytest.mark.parametrize("text", ["Port none", "Host", "ProxyJump a b c", "Match nonsense", "Include " + "x" * 9])
def test_nonsense_is_told_or_left(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    try:
        host_of("x", tmp_path / "config")
    except TargetAway as away:
        assert away.code == "ssh_refused"  # noqa: PT017 - either is right


def test_files_that_include_themselves(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include config\nHost *\n  Port 5\n")

    assert host_of("x", tmp_path / "config").port == 5


@given(text=st.text(st.characters(max_codepoint=0x17F), max_size=200))
def test_any_text_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    config = tmp_path_factory.mktemp("ssh") / "config"
    config.write_text(text)
    try:
        host_of("x", config)
    except TargetAway as away:
        assert away.code == "ssh_refused"  # noqa: PT017 - either is right


def _ssh_says(place: str, config: Path) -> dict[str, str]:
    user, _, rest = place.rpartition("@")
    name, _, port = rest.partition(":")
    more = [*(["-l", user] if user else []), *(["-p", port] if port else [])]
    done = subprocess.run(["ssh", "-G", "-F", str(config), *more, name], capture_output=True, text=True, check=True)
    told: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        told[key] = f"{told[key]} {value}" if key in told else value
    return told
