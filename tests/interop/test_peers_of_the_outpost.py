"""Whom an outpost believes: proxies it trusts or not, hosts that are control or only say so."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.world import World
from tests.support.garrison import Outpost
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port
from tests.support.peers_tls import self_signed

pytestmark = pytest.mark.interop
Start = Callable[[str, dict[str, str]], tuple[Outpost, Program]]


@pytest.fixture
def start(world: World, folder: Path) -> Iterator[Start]:
    """Launches another instance of `edge` with further environment."""
    programs: list[Outpost] = []

    def launch(name: str, environment: dict[str, str]) -> tuple[Outpost, Program]:
        own_name = {"AUTHENTIK_HOST_BROWSER": world.garrison.url}
        outpost = Outpost(world.garrison, "edge", folder / name, environment=own_name | environment)
        programs.append(outpost)
        return outpost, outpost.launch()

    yield launch
    for outpost in programs:
        outpost.stop()


def test_an_untrusted_proxy_is_named_with_the_setting_that_would_trust_it(world: World, start: Start) -> None:
    site = world.sites["traefik"]
    outpost, program = start("strict", {"AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS": "192.0.2.0/24"})
    eventually(outpost.is_ready, "ready", alive=program)
    headers = [
        ("X-Forwarded-Host", f"{site.host}:{site.port}"),
        ("X-Forwarded-Proto", "https"),
        ("Accept", "text/html"),
    ]
    answer = ask(outpost.http, "/outpost.goauthentik.io/start?rd=/", host=outpost.address, headers=headers)
    assert answer.status >= 400
    setting = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS"
    assert "127.0.0.1" in answer.text
    assert setting in answer.text
    eventually(lambda: setting in program.output(), "the log names the setting")


def test_a_host_that_is_not_control_is_told_apart(world: World, start: Start) -> None:
    _, program = start("astray", {"AUTHENTIK_HOST": f"http://127.0.0.1:{world.echo.port}"})
    eventually(lambda: "prove" in program.output(), "it says that the host can't prove the token", alive=program)
    assert world.garrison.token("edge") not in program.output()


def test_an_unreachable_control_is_said_to_be_so(start: Start) -> None:
    port = free_port()
    _, program = start("alone", {"AUTHENTIK_HOST": f"http://127.0.0.1:{port}"})
    eventually(lambda: "reached" in program.output(), "it says that control can't be reached", alive=program)
    assert str(port) in program.output()


def test_the_front_door_shows_the_certificate_of_the_host_asked_for(world: World, folder: Path) -> None:
    certificate, key = self_signed(folder, "secure.example.test")
    port = world.garrison.https
    world.garrison.apply(
        {
            "certificates": [{"name": "secure", "certificate_file": str(certificate), "key_file": str(key)}],
            "providers": [
                {
                    "name": "secure", "type": "proxy", "mode": "forward_single", "certificate": "secure",
                    "external_host": f"https://secure.example.test:{port}",
                }
            ],
            "applications": [{"slug": "secure", "name": "Secure", "provider": "secure"}],
        }
    )  # fmt: skip
    trusting = ssl.create_default_context(cafile=str(certificate))

    def handshake() -> bool:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            trusting.wrap_socket(plain, server_hostname="secure.example.test") as secured,
        ):
            return secured.version() in ("TLSv1.2", "TLSv1.3")

    assert eventually(handshake, "the certificate is served", within=10)
