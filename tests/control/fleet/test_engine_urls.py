"""Where engines listen: what is meant is read, what is not is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.fleet.engine_urls import EngineScheme, EngineUrl, NotAnEngineUrl, parse_engine_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("unix:///var/run/docker.sock", EngineUrl(scheme=EngineScheme.UNIX, path="/var/run/docker.sock")),
        ("unix:////run/./x/../docker.sock", EngineUrl(scheme=EngineScheme.UNIX, path="/run/docker.sock")),
        ("tcp://Engine.Example.com.:2376", EngineUrl(scheme=EngineScheme.TCP, host="engine.example.com", port=2376)),
        ("tcp://[::1]:2375/", EngineUrl(scheme=EngineScheme.TCP, host="::1", port=2375)),
        ("ssh://box", EngineUrl(scheme=EngineScheme.SSH, host="box")),
        ("ssh://me@10.0.0.1:2222", EngineUrl(scheme=EngineScheme.SSH, user="me", host="10.0.0.1", port=2222)),
        ("SSH://a.b_c-d@[fe80::1]", EngineUrl(scheme=EngineScheme.SSH, user="a.b_c-d", host="fe80::1")),
    ],
)
def test_what_is_read(text: str, url: EngineUrl) -> None:
    assert parse_engine_url(text) == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_an_engine_url"),
        ("docker", "not_an_engine_url"),
        ("/var/run/docker.sock", "not_an_engine_url"),
        ("http://engine:2375", "not_an_engine_url"),
        ("npipe:////./pipe/docker_engine", "not_an_engine_url"),
        ("unix:///run/a b.sock", "not_an_engine_url"),
        ("unix:///run/a.sock\n", "not_an_engine_url"),
        ("unix:///run/a.sock?x", "not_an_engine_url"),
        ("unix://run/docker.sock", "not_a_socket_path"),
        ("unix:run/docker.sock", "not_a_socket_path"),
        ("unix://", "not_a_socket_path"),
        ("unix:///", "not_a_socket_path"),
        ("unix:///run/", "not_a_socket_path"),
        ("unix:///%2Frun", "not_a_socket_path"),
        ("unix:///" + 107 * "x", "not_a_socket_path"),
        ("tcp://engine", "port_missing"),
        ("tcp://engine:", "not_a_port"),
        ("tcp://engine:0", "not_a_port"),
        ("tcp://engine:65536", "not_a_port"),
        ("tcp://engine:x", "not_a_port"),
        ("tcp://me@engine:2376", "user_refused"),
        ("tcp://:2376", "not_a_host"),
        ("tcp://en gine:2376", "not_an_engine_url"),
        ("tcp://engine:2376/v1.41", "not_an_engine_url"),
        ("tcp://[::1:2376", "not_an_engine_url"),
        ("tcp://-x:2376", "not_a_host"),
        ("ssh://", "not_a_host"),
        ("ssh://-oProxyCommand=x", "not_a_host"),
        ("ssh://-oProxyCommand=x@box", "user_refused"),
        ("ssh://me:secret@box", "user_refused"),
        ("ssh://@box", "user_refused"),
        ("ssh://box/run/docker.sock", "not_an_engine_url"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(NotAnEngineUrl) as caught:
        parse_engine_url(text)
    assert str(caught.value) == code


@given(st.sampled_from(["unix://", "tcp://", "ssh://", ""]).flatmap(lambda start: st.text().map(start.__add__)))
@example("tcp://[")
@example("ssh://ｅngine")
def test_garbage_is_refused_and_what_is_read_is_read_again_as_the_same(text: str) -> None:
    try:
        url = parse_engine_url(text)
    except NotAnEngineUrl:
        return
    assert parse_engine_url(str(url)) == url


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("unix:///var/run/docker.sock", "unix:///run//docker.sock", True),
        ("unix:///run/docker.sock", "unix:///run/podman.sock", False),
        ("tcp://A:1", "tcp://a:1/", True),
        ("tcp://a:1", "tcp://a:2", False),
        ("ssh://a", "ssh://authentik@A:22", True),
        ("ssh://a", "ssh://root@a", False),
        ("ssh://a", "tcp://a:22", False),
    ],
)
def test_which_lead_to_the_same_place(one: str, other: str, same: bool) -> None:
    assert (parse_engine_url(one).identity == parse_engine_url(other).identity) is same
