"""What `--demo` needs before it runs: passwords, free ports, and the blueprint of its applications and users."""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from control.serve.programs import Program, Stage, python

BLUEPRINT = Path(__file__).with_name("blueprint.yaml")
PREFERRED_PORT = 9080
APPLICATION_PORT = 9081
# An outpost's own, for clients that know them.
LDAP_PORTS = (3389, 6636)
LDAP_OUTPOST = "demo-ldap"
BASE_DN = "DC=ldap,DC=goauthentik,DC=io"
USERS = ("alice", "bob")
_NEEDED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The demo of one data folder: where it listens and with which passwords its users sign in.

    `front` is the port of Garrison's front door, the outpost before the `application`.
    """

    port: int
    application: int
    front: int
    ldap: int
    ldaps: int
    passwords: dict[str, str]

    @property
    def url(self) -> str:
        """Where browsers find it; they know every name below localhost as this machine."""
        return f"http://demo.localhost:{self.port}"

    @property
    def proxied_url(self) -> str:
        """The same where the front door itself is the reverse proxy."""
        return f"http://proxied.localhost:{self.front}"

    @property
    def environment(self) -> dict[str, str]:
        """What the demo's blueprint refers to."""
        named = {f"GARRISON_DEMO_{user.upper()}": password for user, password in self.passwords.items()}
        return {
            **named,
            "GARRISON_DEMO_URL": self.url,
            "GARRISON_DEMO_PROXIED_URL": self.proxied_url,
            "GARRISON_DEMO_APPLICATION": f"http://127.0.0.1:{self.application}",
            "GARRISON_DEMO_BASE_DN": BASE_DN,
            "GARRISON_DEMO_LDAP_OUTPOST": LDAP_OUTPOST,
        }

    def program(self, outpost: str) -> Program:
        """Its process, before the outpost at HOST:PORT."""
        return Program(
            name="demo",
            arguments=python(
                *("-m", "control.serve.demo", f"127.0.0.1:{self.port}", outpost, f"127.0.0.1:{self.application}")
            ),
            environment=_environment,
            metrics=None,
            stage=Stage.FRONT,
        )

    def lines(self, garrison: str, admin: str) -> Sequence[str]:
        """What to try, for people; `garrison` is where Garrison is, `admin` how its administrator signs in."""
        return (
            "",
            f"Administration:   {garrison}",
            f"  akadmin  {admin}",
            f"Demo application: {self.url}",
            f"  alice    {self.passwords['alice']}  (has access)",
            f"  bob      {self.passwords['bob']}  (has none)",
            "Try it in a browser, or see where curl is sent:",
            f"  curl -i --resolve demo.localhost:{self.port}:127.0.0.1 {self.url}/",
            f"Mode proxy:       {self.proxied_url}",
            "The same, with nothing but the outpost before the application:",
            f"  curl -i --resolve proxied.localhost:{self.front}:127.0.0.1 {self.proxied_url}/",
            f"Demo directory:   ldap://127.0.0.1:{self.ldap}, ldaps://127.0.0.1:{self.ldaps}",
            "Search it as alice, who may see everybody:",
            self._search(f"-D cn=alice,ou=users,{BASE_DN} -w {self.passwords['alice']}"),
        )

    def _search(self, bind: str) -> str:
        return f"  ldapsearch -x -H ldap://127.0.0.1:{self.ldap} {bind} -b {BASE_DN} '(uid=bob)'"


def make_demo(data: Path, front: int) -> Demo:
    """The demo of a data folder: its passwords stay the same over restarts, and its ports where they are free."""
    path = data / "demo.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    demo = Demo(
        port=_free_port("port", known, PREFERRED_PORT),
        application=_free_port("application", known, APPLICATION_PORT),
        front=front,
        ldap=_free_port("ldap", known, LDAP_PORTS[0]),
        ldaps=_free_port("ldaps", known, LDAP_PORTS[1]),
        passwords={user: str(known.get(user) or secrets.token_urlsafe(9)) for user in USERS},
    )
    ports = {"port": demo.port, "application": demo.application, "ldap": demo.ldap, "ldaps": demo.ldaps}
    _keep(path, {**demo.passwords, **ports})
    return demo


def _environment() -> Mapping[str, str]:
    """A toy that faces the network gets nothing of Garrison's: what a Python program needs to start."""
    return {name: os.environ[name] for name in _NEEDED if name in os.environ}


def _keep(path: Path, values: Mapping[str, object]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)  # it may have been there
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file)


def _free_port(name: str, known: Mapping[str, object], preferred: int) -> int:
    """The port of the last time where it is free, else the preferred one, else any."""
    last = known.get(name)
    for port in (last if isinstance(last, int) else preferred, preferred, 0):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port for the demo")
