"""The normal form of a container: what is asked for is what is found, and what others add is nobody's difference."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.fleet.tokens import fingerprint
from control.integrations.docker.spec import (
    COMPONENT_LABEL,
    FINGERPRINT_LABEL,
    TOKEN_PATH,
    Container,
    condition_of,
    creation,
    find_key,
    found_container,
)
from control.integrations.model import Condition, Key, Wanted

OWNER = UUID("0190a000-0000-7000-8000-000000000001")
KEY = Key(owner=OWNER, component="outpost")
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
PORTS = st.builds("{}{}:{}/{}".format, st.sampled_from(["", "127.0.0.1:", "::1:"]), *[st.integers(1, 9)] * 2, WORDS)


def wanted_of(container: Container, token: str = "") -> Wanted:
    private = {TOKEN_PATH: token} if token else {}
    accepts = {TOKEN_PATH: frozenset({fingerprint(token)})} if token else {}
    return Wanted(key=KEY, name="ak-outpost-edge", spec=container.spec, private=private, accepts=accepts)


def inspected_of(wanted: Wanted, **state: Any) -> dict[str, Any]:
    """What ContainerInspect says of a container that was made so."""
    body = creation(wanted)
    host = body.pop("HostConfig")
    networks = {host["NetworkMode"]: {"NetworkID": ""}}
    return {
        "Id": "f00d",
        "Name": f"/{wanted.name}",
        "Config": body,
        "HostConfig": host,
        "NetworkSettings": {"Networks": networks},
        "State": {"Status": "running", **state},
    }


CONTAINERS = st.builds(
    Container,
    image=WORDS,
    command=st.lists(WORDS, max_size=2).map(tuple),
    env=st.dictionaries(WORDS, WORDS, max_size=3),
    labels=st.dictionaries(WORDS, WORDS, max_size=3),
    ports=st.sets(PORTS, max_size=3).map(tuple),
    network=st.sampled_from(["bridge", "default", "", "host", "web", "container:vpn"]),
    restart=st.sampled_from(["no", "always", "unless-stopped"]),
    read_only=st.booleans(),
    cap_add=st.sets(st.sampled_from(["CHOWN", "KILL"])).map(tuple),
    privileged=st.booleans(),
)


@given(CONTAINERS)
def test_what_is_asked_for_is_what_is_found(container: Container) -> None:
    wanted = wanted_of(container)
    found = found_container(inspected_of(wanted), container.image, KEY)
    assert (found.spec, found.fingerprint, found.name) == (wanted.spec, wanted.fingerprint, wanted.name)


def test_the_token_is_in_the_request_and_its_fingerprint_in_the_spec() -> None:
    container = Container(image="i", command=("proxy",), env={"AUTHENTIK_TOKEN": "hush"}, labels={})
    wanted = wanted_of(container, "hush")
    assert creation(wanted)["Env"] == ["AUTHENTIK_TOKEN=hush"]
    assert wanted.spec["env"] == {"AUTHENTIK_TOKEN": fingerprint("hush")}
    assert "hush" not in repr((wanted, found_container(inspected_of(wanted), "i", KEY)))


def test_another_token_is_the_same_fingerprint_and_another_name_another_attempt() -> None:
    first, second = (
        wanted_of(Container(image="i", command=(), env={"AUTHENTIK_TOKEN": token}, labels={}), token)
        for token in ("one", "two")
    )
    renamed = Wanted(key=KEY, name="other", spec=first.spec, accepts=first.accepts)
    assert first.fingerprint == second.fingerprint == renamed.fingerprint
    assert first.attempt == second.attempt != renamed.attempt


def test_a_network_that_it_was_taken_off_is_none() -> None:
    inspected = inspected_of(wanted_of(Container(image="i", command=(), env={}, labels={}, network="web")))
    inspected["NetworkSettings"]["Networks"] = {"other": {"NetworkID": "abc"}}
    assert found_container(inspected, "i", KEY).spec["network"] == "none"


@pytest.mark.parametrize(
    ("mode", "joined", "found"),
    [
        ("default", {"bridge": {"NetworkID": "1"}}, "bridge"),
        ("bridge", {"bridge": None}, "bridge"),
        ("host", {"host": {}}, "host"),
        ("none", {"none": {}}, "none"),
        ("container:abc", {}, "container:abc"),
        ("c0ffee", {"web": {"NetworkID": "c0ffee12"}}, "c0ffee"),
    ],
)
def test_networks_have_one_form(mode: str, joined: dict[str, Any], found: str) -> None:
    inspected = inspected_of(wanted_of(Container(image="i", command=(), env={}, labels={})))
    inspected["HostConfig"]["NetworkMode"] = mode
    inspected["NetworkSettings"]["Networks"] = joined
    assert found_container(inspected, "i", KEY).spec["network"] == found


def test_another_containers_network_is_known_by_the_name_it_was_asked_for_by() -> None:
    """The engine keeps the id that the name led to."""
    wanted = wanted_of(Container(image="i", command=(), env={}, labels={}, network="container:vpn"))
    inspected = inspected_of(wanted)
    inspected["HostConfig"]["NetworkMode"] = "container:0cb27651aa6d"
    inspected["NetworkSettings"]["Networks"] = {}
    assert found_container(inspected, "i", KEY).spec == wanted.spec


def test_what_engines_write_in_other_words_is_the_same() -> None:
    container = Container(image="i", command=(), env={}, labels={}, ports=("9000:9000/tcp",))
    inspected = inspected_of(wanted_of(container))
    inspected["HostConfig"] |= {
        "CapAdd": None,
        "CapDrop": ["all"],
        "SecurityOpt": ["no-new-privileges:true"],
        "PortBindings": {"9000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9000"}]},
    }
    inspected["Config"]["Labels"] = None
    assert found_container(inspected, "i", KEY).spec == container.spec


@pytest.mark.parametrize(
    ("state", "condition"),
    [
        ({"Status": "running"}, Condition.RUNNING),
        ({"Status": "running", "Health": None}, Condition.RUNNING),
        ({"Status": "running", "Health": {"Status": "none"}}, Condition.RUNNING),
        ({"Status": "running", "Health": {"Status": "healthy"}}, Condition.RUNNING),
        ({"Status": "running", "Health": {"Status": "starting"}}, Condition.STARTING),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, Condition.UNHEALTHY),
        ({"Status": "restarting", "Health": {"Status": "healthy"}}, Condition.UNHEALTHY),
        ({"Status": "paused"}, Condition.UNHEALTHY),
        ({"Status": "created"}, Condition.STOPPED),
        ({"Status": "exited", "Health": {"Status": "unhealthy"}}, Condition.STOPPED),
        ({"Status": "dead"}, Condition.STOPPED),
        ({}, Condition.STOPPED),
    ],
)
def test_conditions(state: dict[str, Any], condition: Condition) -> None:
    assert condition_of(state) is condition


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (None, None),
        ({}, None),
        ({"io.goauthentik.outpost-uuid": "me"}, None),
        ({"io.goauthentik.outpost-uuid": OWNER.hex}, None),
        ({"io.goauthentik.outpost-uuid": str(OWNER)}, KEY),
        (
            {"io.goauthentik.outpost-uuid": str(OWNER), COMPONENT_LABEL: "guacd", FINGERPRINT_LABEL: "x"},
            Key(owner=OWNER, component="guacd"),
        ),
    ],
)
def test_whose_a_container_is(labels: dict[str, str] | None, key: Key | None) -> None:
    assert find_key(labels) == key
