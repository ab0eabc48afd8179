"""Settings: the command line before the environment, and each bad value one line that names it."""

import socket
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.fleet.tokens import ensure_embedded
from control.serve.first_start import prepare
from control.settings import BadSetting, Given, Listen, read_settings, remember_url
from control.settings.opening import make_folders, open_store, secret_key, wait_for_store, waker
from control.store import Actor, DatabaseUnavailable
from tests.support import builders
from tests.support.peers_program import eventually
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.stores import ADMIN


def test_defaults() -> None:
    settings = read_settings(Given(), {})
    assert (str(settings.data), settings.url) == ("/var/lib/garrison", "http://localhost:9000")
    assert settings.database_url == "sqlite:////var/lib/garrison/garrison.db"
    assert [str(each) for each in (settings.http, settings.https, settings.link, settings.metrics)] == [
        ":9000",
        ":9443",
        ":9444",
        ":9300",
    ]
    assert (settings.link_addresses, settings.embedded, settings.log_level) == ((":9444", ":9443"), True, "info")


@pytest.mark.parametrize(
    ("environment", "sockets"),
    [
        ({}, ["/var/run/docker.sock"]),
        ({"AUTHENTIK_OUTPOSTS__DISCOVER": ""}, ["/var/run/docker.sock"]),
        ({"AUTHENTIK_OUTPOSTS__DISCOVER": "true", "DOCKER_HOST": "tcp://engine:2376"}, ["/var/run/docker.sock"]),
        ({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, ["/run/user/1000/docker.sock"]),
        ({"AUTHENTIK_OUTPOSTS__DISCOVER": "False", "DOCKER_HOST": "unix:///run/docker.sock"}, []),
    ],
)
def test_where_an_engine_of_this_machine_is_looked_for(environment: dict[str, str], sockets: list[str]) -> None:
    assert [str(path) for path in read_settings(Given(), environment).engine_sockets] == sockets


def test_discovery_is_on_or_off() -> None:
    with pytest.raises(BadSetting, match="AUTHENTIK_OUTPOSTS__DISCOVER: found 'perhaps'; expected true or false"):
        read_settings(Given(), {"AUTHENTIK_OUTPOSTS__DISCOVER": "perhaps"})


def test_the_configuration_of_ssh_is_the_user_s() -> None:
    assert read_settings(Given(), {"HOME": "/authentik"}).ssh_config == Path("/authentik/.ssh/config")
    assert read_settings(Given(), {}).ssh_config is None


@pytest.mark.parametrize(("text", "days"), [("", 365), ("30", 30), (" 7 ", 7), ("0", None), ("00000", None)])
def test_how_long_the_audit_trail_is_kept(text: str, days: int | None) -> None:
    kept = read_settings(Given(), {"GARRISON_AUDIT_DAYS": text}).audit_kept
    assert kept == (timedelta(days=days) if days is not None else None)


@pytest.mark.parametrize("text", ["-1", "1.5", "a year", "\u0663", "100000", "9" * 5000])
def test_what_is_no_number_of_days(text: str) -> None:
    with pytest.raises(BadSetting, match=r"GARRISON_AUDIT_DAYS: found .*; expected a number of days, 0 to 99999"):
        read_settings(Given(), {"GARRISON_AUDIT_DAYS": text})


def test_outposts_hear_of_the_ports_that_are_served() -> None:
    settings = read_settings(Given(link="127.0.0.1:1", https="[::1]:2"), {"GARRISON_LISTEN__LINK": ":3"})
    assert settings.link_addresses == (":1", ":2")


def test_the_command_line_comes_first() -> None:
    environment = {"GARRISON_URL": "https://a.example", "GARRISON_DATA": "/a", "AUTHENTIK_LISTEN__HTTP": "127.0.0.1:1"}
    settings = read_settings(Given(url="https://b.example/", data="/b", http="[::1]:2"), environment)
    assert (settings.url, str(settings.data), settings.http) == ("https://b.example", "/b", Listen(host="::1", port=2))
    settings = read_settings(Given(), environment)
    assert (settings.url, str(settings.data), str(settings.http)) == ("https://a.example", "/a", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GARRISON_URL": "example.com"}, "GARRISON_URL: found 'example.com'"),
        ({"GARRISON_URL": "https://example.com/path"}, "GARRISON_URL: found 'https://example.com/path'"),
        ({"GARRISON_URL": "https://u:p@example.com"}, "GARRISON_URL: found"),
        ({"GARRISON_DATA": "/" + "x" * 100}, "--data: found"),
        ({"GARRISON_DATABASE_URL": "mysql://u:secret@h/d"}, "GARRISON_DATABASE_URL: found 'mysql://…'"),
        ({"GARRISON_DATABASE_URL": "nonsense"}, "GARRISON_DATABASE_URL: found"),
        ({"GARRISON_DATABASE_URL": "postgresql://u:secret@h/d?frob=1"}, "found 'postgresql://…'; expected a URL that"),
        ({"GARRISON_DATABASE_URL": "postgresql://u:%zzsecret@h/d"}, "found 'postgresql://…'; expected a URL that"),
        ({"GARRISON_DATABASE_URL": "file:///nonexistent"}, "GARRISON_DATABASE_URL: found 'file:///nonexistent'"),
        ({"GARRISON_SECRET_KEY": "short"}, "GARRISON_SECRET_KEY: found '5 characters'"),
        ({"GARRISON_SECRET_KEY": "file:///nonexistent"}, "No such file"),
        ({"AUTHENTIK_OUTPOSTS__DISABLE_EMBEDDED_OUTPOST": "perhaps"}, "found 'perhaps'; expected true or false"),
        ({"AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": "a b"}, "CONTAINER_IMAGE_BASE: found 'a b'"),
        ({"AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": "a:%(version)9999999s"}, "expected an image like"),
        ({"AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE": "100%"}, "expected an image like"),
        ({"AUTHENTIK_LISTEN__HTTP": "9000"}, "AUTHENTIK_LISTEN__HTTP: found '9000'"),
        ({"AUTHENTIK_LISTEN__METRICS": "0.0.0.0:99999"}, "AUTHENTIK_LISTEN__METRICS: found"),
        ({"GARRISON_LISTEN__LINK": "::1:9444"}, "GARRISON_LISTEN__LINK: found '::1:9444'"),
        ({"GARRISON_LINK_ADVERTISE": "a.example:1,b.example"}, "GARRISON_LINK_ADVERTISE: found 'b.example'"),
        ({"AUTHENTIK_LOG_LEVEL": "loud"}, "AUTHENTIK_LOG_LEVEL: found 'loud'"),
    ],
)
def test_a_bad_value_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read_settings(Given(), environment)
    assert said in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert "secret@" not in told


def test_what_is_set_in_other_words(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 32 + "\n")
    settings = read_settings(
        Given(),
        {
            "GARRISON_SECRET_KEY": f"file://{tmp_path}/key",
            "GARRISON_DATABASE_URL": "postgres://u@h/d",
            "GARRISON_LINK_ADVERTISE": "a.example:1, [::1]:2,:443",
            "AUTHENTIK_OUTPOSTS__DISABLE_EMBEDDED_OUTPOST": "True",
            "AUTHENTIK_LOG_LEVEL": "TRACE",
        },
    )
    assert (settings.secret_key, settings.database_url) == ("k" * 32, "postgresql://u@h/d")
    assert (settings.link_addresses, settings.embedded, settings.log_level) == (
        ("a.example:1", "[::1]:2", ":443"),
        False,
        "debug",
    )
    assert "k" * 32 not in repr(settings)


def test_the_address_of_the_database_lies_in_a_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql+psycopg://u:hush@h/d?sslmode=require\n")
    settings = read_settings(Given(), {"GARRISON_DATABASE_URL": f"file://{tmp_path}/url"})
    assert settings.database_url == "postgresql://u:hush@h/d?sslmode=require"
    assert "hush" not in repr(settings)


def test_the_url_is_known_to_commands_beside_the_server(tmp_path: Path) -> None:
    served = read_settings(Given(data=str(tmp_path), url="https://id.example.com"), {})
    make_folders(served)
    remember_url(served)
    assert read_settings(Given(data=str(tmp_path)), {}).url == "https://id.example.com"
    assert read_settings(Given(data=str(tmp_path), http=":8000"), {}).url == "http://localhost:8000"


def test_the_key_is_made_once_for_its_owner(tmp_path: Path) -> None:
    settings = read_settings(Given(data=str(tmp_path / "data")), {})
    make_folders(settings)
    key = secret_key(settings)
    assert (len(key) >= 32, secret_key(settings)) == (True, key)
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_no_key_is_made_beside_a_database_in_use(tmp_path: Path) -> None:
    settings = read_settings(Given(data=str(tmp_path)), {})
    with open_store(settings, migrate=True).write(Actor(name="cli")) as unit:
        ensure_embedded(unit)
    key = tmp_path / "secret.key"
    kept = key.read_text()
    key.unlink()
    with pytest.raises(BadSetting, match=r"secret\.key: found 'no file'; expected the key of the database"):
        open_store(settings, migrate=True)
    assert not key.exists()
    key.write_text(kept)
    with open_store(settings, migrate=True).read() as unit:
        assert unit.tokens.all()


@pytest.mark.parametrize("named", ["GARRISON_SECRET_KEY", "secret.key"])
def test_a_key_that_opens_nothing_is_refused_at_once(tmp_path: Path, named: str) -> None:
    settings = read_settings(Given(data=str(tmp_path)), {})
    prepare(open_store(settings, migrate=True), "a-bootstrap-password")
    if named == "secret.key":
        (tmp_path / "secret.key").write_text("x" * 40)
    other = replace(settings, secret_key=None if named == "secret.key" else "x" * 40)
    with pytest.raises(BadSetting, match=rf"{named}: found 'another key'; expected the key that the database was made"):
        open_store(other, migrate=False)


@pytest.mark.interop
def test_a_start_waits_for_postgresql(
    tmp_path: Path, postgres: PostgresServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.settings.opening.START_AGAIN_SECONDS", 0.01)
    with postgres.empty_database() as name:
        environment = {"GARRISON_DATABASE_URL": postgres.tcp_url(name), "GARRISON_SECRET_KEY": "k" * 32}
        settings = read_settings(Given(data=str(tmp_path)), environment)
        postgres.stop()
        with ThreadPoolExecutor(1) as pool:
            try:
                with pytest.raises(DatabaseUnavailable):
                    wait_for_store(settings, seconds=0.05)
                waiting = pool.submit(wait_for_store, settings)
                eventually(lambda: len(caplog.records) > 10, "it waits", within=10)
            finally:
                postgres.start()
            store = waiting.result(10)
        with store.read() as unit:
            assert unit.revision() == 1
        store.close()
    assert "Connection refused" in caplog.records[0].__dict__["reason"]
    assert PASSWORD not in str([record.__dict__ for record in caplog.records])


def test_a_key_that_was_cut_is_refused(tmp_path: Path) -> None:
    settings = read_settings(Given(data=str(tmp_path)), {})
    (tmp_path / "secret.key").write_text("cut")
    with pytest.raises(BadSetting, match=r"secret\.key: found '3 characters'"):
        secret_key(settings)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"--data: found .* expected a folder that can be written"):
        make_folders(read_settings(Given(data=str(tmp_path / "file" / "data")), {}))


def test_a_commit_wakes_the_link(tmp_path: Path) -> None:
    settings = read_settings(Given(data=str(tmp_path)), {})
    store = open_store(settings, migrate=True)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as link:
        link.bind(str(settings.run / "wake.sock"))
        link.settimeout(30)
        with store.write(ADMIN) as unit:
            unit.groups.add(builders.group())
        assert link.recv(16) == b""


def test_nobody_to_wake_is_no_error(tmp_path: Path) -> None:
    waker(tmp_path / "none.sock")()


@given(st.text(max_size=40))
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        listen = read_settings(Given(http=text), {}).http
    except BadSetting:
        return
    assert 0 < listen.port < 65536


@given(st.text(max_size=60))
def test_any_url_is_read_or_refused(text: str) -> None:
    try:
        url = read_settings(Given(url=text), {}).url
    except BadSetting:
        return
    assert url.startswith(("http://", "https://"))


def test_the_template_of_images() -> None:
    name = "AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE"
    environment = {name: " r.example:5000/%(type)s:%(version)s-%(build_hash)s ", "GIT_BUILD_HASH": "c0ffee"}
    assert read_settings(Given(), environment).image_base == "r.example:5000/%(type)s:%(version)s-c0ffee"
    assert read_settings(Given(), {name: ""}).image_base == ""
