"""The outpost's settings: a table of what may be said, and one line for what may not."""

import os
from pathlib import Path

import pytest

from dataplane.link.target import Target
from dataplane.runtime.plan import Listener, Plan, TcpAddress, UnixAddress
from dataplane.settings import Healthcheck, SettingsRefused, read

MINIMUM = {"AUTHENTIK_HOST": "https://auth.example.com/", "AUTHENTIK_TOKEN": "secret-token"}


def plan(*arguments: str, **environment: str) -> Plan:
    result = read(["proxy", *arguments], {**MINIMUM, **environment}, "0.1.0")
    assert isinstance(result, Plan)
    return result


def refusal(*arguments: str, **environment: str) -> str:
    with pytest.raises(SettingsRefused) as caught:
        read(arguments or ["proxy"], {**MINIMUM, **environment}, "0.1.0")
    text = str(caught.value)
    assert "\n" not in text
    assert "secret-token" not in text
    return text


def test_defaults() -> None:
    subject = plan()
    assert subject == Plan(
        type="proxy",
        version="0.1.0",
        build="",
        state=Path("/var/lib/garrison"),
        workers=len(os.sched_getaffinity(0)),
        listeners=(
            Listener(address=TcpAddress(host="", port=9000), tls=False, origin="AUTHENTIK_LISTEN__HTTP"),
            Listener(address=TcpAddress(host="", port=9443), tls=True, origin="AUTHENTIK_LISTEN__HTTPS"),
        ),
        metrics=(TcpAddress(host="", port=9300),),
        target=Target(url="https://auth.example.com", token="secret-token"),
        control_socket="",
        trusted_cidrs=None,
        service_hosts=(),
        browser_url="",
        log_level="info",
    )


def test_an_ldap_outpost_has_ports_of_its_own_and_one_worker() -> None:
    subject = read(["ldap"], MINIMUM, "0.1.0")
    assert isinstance(subject, Plan)
    assert subject.type == "ldap"
    assert subject.workers == 1
    assert subject.listeners == (
        Listener(address=TcpAddress(host="", port=3389), tls=False, origin="AUTHENTIK_LISTEN__LDAP"),
        Listener(address=TcpAddress(host="", port=6636), tls=True, origin="AUTHENTIK_LISTEN__LDAPS"),
    )
    subject = read(["ldap", "--ldaps", ":636", "--workers", "2"], MINIMUM | {"AUTHENTIK_LISTEN__LDAP": ":389"}, "0.1.0")
    assert isinstance(subject, Plan)
    assert subject.workers == 2
    assert subject.listeners == (Listener(address=TcpAddress(host="", port=636), tls=True, origin="--ldaps"),)
    assert "--http" in refusal("ldap", "--http", ":80")


def test_a_plan_does_not_print_its_token() -> None:
    assert "secret-token" not in repr(plan())


def test_when_one_listener_is_given_the_others_stay_off() -> None:
    subject = plan("--http", "127.0.0.1:80", AUTHENTIK_LISTEN__HTTPS="0.0.0.0:443")
    assert subject.listeners == (Listener(address=TcpAddress(host="127.0.0.1", port=80), tls=False, origin="--http"),)
    assert subject.metrics == ()


def test_listeners_by_variable_leave_the_others_on() -> None:
    subject = plan(AUTHENTIK_LISTEN__HTTP="[::1]:80,127.0.0.1:80", AUTHENTIK_LISTEN__METRICS="unix:/run/m.sock")
    assert [str(each.address) for each in subject.listeners] == ["[::1]:80", "127.0.0.1:80", "*:9443"]
    assert subject.metrics == (UnixAddress("/run/m.sock"),)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9000", TcpAddress(host="", port=9000)),
        ("0.0.0.0:1", TcpAddress(host="0.0.0.0", port=1)),
        ("[::]:0", TcpAddress(host="::", port=0)),
        ("localhost:65535", TcpAddress(host="localhost", port=65535)),
    ],
)
def test_addresses(text: str, address: TcpAddress) -> None:
    assert plan("--http", text).listeners[0].address == address


def test_values_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    target = plan(
        AUTHENTIK_TOKEN=f"file://{tmp_path}/token",
        AUTHENTIK_HOST="env://WHERE",
        WHERE="http://control:9000",
        AUTHENTIK_INSECURE="env://UNSET?true",
        GARRISON_LINK="127.0.0.1:9444,[::1]:9444",
    ).target
    assert target == Target(
        url="http://control:9000", token="from-file", insecure=True, link=("127.0.0.1:9444", "[::1]:9444")
    )


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("AUTHENTIK_HOST_BROWSER", "https://login.example.com/", "browser_url", "https://login.example.com"),
        ("AUTHENTIK_LOG_LEVEL", "TRACE", "log_level", "trace"),
        ("AUTHENTIK_LOG_LEVEL", "warn", "log_level", "warning"),
        ("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", "10.1.2.3/8, ::1", "trusted_cidrs", ("10.0.0.0/8", "::1/128")),
        ("GARRISON_SERVICE_HOSTS", "Edge.apps.svc, edge", "service_hosts", ("edge.apps.svc", "edge")),
        ("GIT_BUILD_HASH", "abc", "build", "abc"),
        ("GARRISON_EVENT_INTERVAL", "5", "tell_every", 5.0),
        ("GARRISON_EVENT_BUFFER", "2", "event_bytes", 2 * 1024 * 1024),
    ],
)
def test_variables(name: str, value: str, field: str, expected: object) -> None:
    assert getattr(plan(**{name: value}), field) == expected


def test_a_front_door_needs_no_token() -> None:
    subject = plan(AUTHENTIK_TOKEN="", GARRISON_CONTROL_SOCKET="/run/web.sock")
    assert subject.target is None
    assert subject.control_socket == "/run/web.sock"


def test_only_a_front_door_passes_on_to_the_link() -> None:
    link = "127.0.0.1:9444,[::1]:9444"
    addresses = (TcpAddress(host="127.0.0.1", port=9444), TcpAddress(host="::1", port=9444))
    for token in ("", "secret-token"):
        front = plan(AUTHENTIK_TOKEN=token, GARRISON_CONTROL_SOCKET="/run/web.sock", GARRISON_LINK=link)
        assert front.passage == addresses
    assert plan(GARRISON_LINK=link).passage == ()
    assert plan(GARRISON_CONTROL_SOCKET="/run/web.sock").passage == ()


def test_an_embedded_outpost_enrols_over_the_socket() -> None:
    target = plan(GARRISON_CONTROL_SOCKET="/run/web.sock", AUTHENTIK_HOST="").target
    assert target == Target(url="", token="secret-token", socket="/run/web.sock")


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"AUTHENTIK_TOKEN": ""}, "AUTHENTIK_TOKEN: not set: expected the outpost's token"),
        ({"AUTHENTIK_HOST": ""}, "AUTHENTIK_HOST: not set: expected the URL of control"),
        ({"AUTHENTIK_HOST": "auth.example.com"}, "AUTHENTIK_HOST: 'auth.example.com': expected a URL like"),
        ({"AUTHENTIK_HOST": "https://u:p@x"}, "without credentials"),
        ({"AUTHENTIK_HOST": "https://x:port"}, "AUTHENTIK_HOST: 'https://x:port': expected"),
        ({"AUTHENTIK_HOST": "https://x/?a=b"}, "without credentials, query or fragment"),
        ({"AUTHENTIK_HOST": "https://x\r\nEvil: 1"}, "AUTHENTIK_HOST: "),
        ({"AUTHENTIK_INSECURE": "maybe"}, "AUTHENTIK_INSECURE: 'maybe': expected true or false"),
        ({"AUTHENTIK_LOG_LEVEL": "loud"}, "'loud': expected one of trace, debug, info, warning, error"),
        ({"AUTHENTIK_LISTEN__HTTP": "9000"}, "AUTHENTIK_LISTEN__HTTP: '9000': expected HOST:PORT"),
        ({"AUTHENTIK_LISTEN__HTTP": "::1:9000"}, "expected an IPv6 address in brackets"),
        ({"AUTHENTIK_LISTEN__HTTP": "x:65536"}, "expected HOST:PORT"),
        ({"AUTHENTIK_LISTEN__HTTP": "unix:/x"}, "expected HOST:PORT"),
        ({"AUTHENTIK_LISTEN__METRICS": "unix:x"}, "expected an absolute path"),
        ({"AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS": "10.0.0.0/33"}, "expected networks separated by commas"),
        ({"AUTHENTIK_TOKEN": "file:///nowhere"}, "AUTHENTIK_TOKEN: file:///nowhere can't be read: No such file"),
        ({"AUTHENTIK_TOKEN": "env://NOWHERE"}, "env://NOWHERE names a variable that is not set"),
        ({"GARRISON_LINK": ":9444"}, "GARRISON_LINK: ':9444': expected HOST:PORT"),
        ({"GARRISON_EVENT_INTERVAL": "0"}, "GARRISON_EVENT_INTERVAL: '0': expected seconds, from 1 to 3600"),
        ({"GARRISON_EVENT_INTERVAL": "1m"}, "GARRISON_EVENT_INTERVAL: '1m': expected seconds, from 1 to 3600"),
        ({"GARRISON_EVENT_BUFFER": "50M"}, "GARRISON_EVENT_BUFFER: '50M': expected mebibytes, from 1 to 4096"),
        ({"GARRISON_CONTROL_SOCKET": "web.sock"}, "GARRISON_CONTROL_SOCKET: 'web.sock': expected an absolute path"),
    ],
)
def test_what_can_not_be_used_is_refused_by_name(environment: dict[str, str], text: str) -> None:
    assert text in refusal(**environment)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("radius",), "type radius: not served by this version (served: proxy, ldap)"),
        (("rac", "--state", "x"), "type rac: not served by this version"),
        (("smtp",), "invalid choice: 'smtp'"),
        (("proxy", "--workers", "0"), "--workers: '0': expected a number from 1 to 256"),
        (("proxy", "--workers", "many"), "--workers: 'many': expected a number"),
        (("proxy", "--http", "x"), "--http: 'x': expected HOST:PORT"),
        (("proxy", "--ldap", ":389"), "unrecognized arguments: --ldap :389"),
        (("proxy", "--htt", ":80"), "unrecognized arguments: --htt :80"),
    ],
)
def test_a_command_line_that_can_not_be_used(arguments: tuple[str, ...], text: str) -> None:
    assert text in refusal(*arguments)


def test_the_healthcheck_asks_where_the_metrics_are() -> None:
    assert read(["healthcheck"], {}, "0") == Healthcheck(addresses=(TcpAddress(host="", port=9300),))
    assert read(["healthcheck"], {"AUTHENTIK_LISTEN__METRICS": ":1"}, "0") == Healthcheck(
        addresses=(TcpAddress(host="", port=1),)
    )
    assert read(["healthcheck", "--metrics", "unix:/m"], {}, "0") == Healthcheck(addresses=(UnixAddress("/m"),))
