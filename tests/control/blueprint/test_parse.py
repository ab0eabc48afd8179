"""From a blueprint's text to entries: names, references and paths; garbage is Invalid and nothing else."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from control.blueprint.parse import Entry, Presence, parse, refuse_doubles
from control.blueprint.sections import SECTIONS
from control.blueprint.strings import Surroundings
from control.domain.errors import Invalid

NOWHERE = Surroundings(folder=Path("/nonexistent"), environment={"SET": "value", "NAME": "wiki"})


def entries(text: str, around: Surroundings = NOWHERE) -> tuple[Entry, ...]:
    return parse(text, "b.yaml", around)


def refusals(text: str, around: Surroundings = NOWHERE) -> list[tuple[str, str]]:
    """(place, code) of every problem."""
    with pytest.raises(Invalid) as caught:
        entries(text, around)
    return [(problem.field, problem.code) for problem in caught.value.problems]


@pytest.mark.parametrize("text", ["", "# nothing", "version: 1", "users:\n", "users: []"])
def test_nothing_is_nothing(text: str) -> None:
    assert entries(text) == ()


def test_an_entry() -> None:
    (entry,) = entries("users: [{username: alice, is_active: false, state: present}]")
    assert (entry.section.kind, entry.name, entry.path) == ("user", "alice", "users[0]")
    assert (entry.presence, dict(entry.fields)) == (Presence.PRESENT, {"username": "alice", "active": False})


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("users: [{username: a, emial: x}]", "b.yaml: users[0].emial", "unknown_field"),
        ("users: [{username: a}, {name: b}]", "b.yaml: users[1].username", "missing"),
        ("users: [{username: 7}]", "b.yaml: users[0].username", "missing"),
        ("users: [alice]", "b.yaml: users[0]", "not_a_mapping"),
        ("users: {username: a}", "b.yaml: users", "not_a_list"),
        ("users: [{username: a, state: gone}]", "b.yaml: users[0].state", "not_a_choice"),
        ("users: [{username: a, state: []}]", "b.yaml: users[0].state", "not_a_choice"),
        ("users: [{username: a, active: true, is_active: true}]", "b.yaml: users[0].is_active", "said_twice"),
        ("endpoints: [{name: local}]", "b.yaml: endpoints", "section_not_served_yet"),
        ("endpoints: []", "b.yaml: endpoints", "section_not_served_yet"),
        ("integrations: [{name: local, port: 1}]", "b.yaml: integrations[0].port", "unknown_field"),
        ("user: []", "b.yaml: user", "unknown_section"),
        ("version: 2", "b.yaml: version", "unknown_version"),
        ("version: true", "b.yaml: version", "unknown_version"),
        (
            "outposts: [{name: a, integration: x, service_connection: x}]",
            "b.yaml: outposts[0].service_connection",
            "said_twice",
        ),
        ("users: [{username: a, name: 'env://UNSET'}]", "b.yaml: users[0].name", "variable_not_set"),
        ("users: [{username: a, name: 'file://x'}]", "b.yaml: users[0].name", "file_unreadable"),
        (
            "users: [{username: a, attributes: {x: ['env://UNSET']}}]",
            "b.yaml: users[0].attributes.x[0]",
            "variable_not_set",
        ),
        (
            "certificates: [{name: a, certificate_file: x.pem}]",
            "b.yaml: certificates[0].certificate_file",
            "file_unreadable",
        ),
        ("certificates: [{name: a, key_file: 7}]", "b.yaml: certificates[0].key_file", "not_a_path"),
        (
            "certificates: [{name: a, key_file: 'env://SET?', key: x}]",
            "b.yaml: certificates[0].key_file",
            "file_unreadable",
        ),
        ("users: [", "b.yaml", "not_yaml"),
        ("- users", "b.yaml", "not_a_mapping"),
        ("users: [{username: a, username: b}]", "b.yaml", "duplicate_key"),
        ("users: &a [{username: a}]\ngroups: *a", "b.yaml", "alias_refused"),
        ("users: [{username: !Find [a, b]}]", "b.yaml", "tag_refused"),
    ],
)
def test_what_is_refused(text: str, place: str, code: str) -> None:
    assert refusals(text) == [(place, code)]


def test_every_problem_of_a_file_is_told() -> None:
    text = "users: [{username: a, x: 1, y: 2}, {}]\nflows: []\nprovidrs: []\n"
    assert refusals(text) == [
        ("b.yaml: flows", "section_not_served_yet"),
        ("b.yaml: providrs", "unknown_section"),
        ("b.yaml: users[0].x", "unknown_field"),
        ("b.yaml: users[0].y", "unknown_field"),
        ("b.yaml: users[1].username", "missing"),
    ]


def test_texts_come_from_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("Alice\n")
    around = Surroundings(folder=tmp_path, environment={"MAIL": "alice@example.com"})
    text = """
users:
  - username: alice
    name: file://name.txt
    email: env://MAIL
    attributes: {a: ["env://NONE?default"], b: "file://none?fallback", c: "env://EMPTY?"}
"""
    (entry,) = entries(text, around)
    assert entry.fields["name"] == "Alice"
    assert entry.fields["email"] == "alice@example.com"
    assert entry.fields["attributes"] == {"a": ["default"], "b": "fallback", "c": ""}
    assert entry.hidden >= {"name", "email", "attributes", "password", "password_hash"}


def test_absolute_paths_stand_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("Alice")
    (entry,) = entries(f"users: [{{username: a, name: 'file://{tmp_path}/name.txt'}}]")
    assert entry.fields["name"] == "Alice"


def test_what_a_variable_says_is_not_read_again() -> None:
    around = Surroundings(folder=Path("/"), environment={"A": "file:///etc/passwd"})
    (entry,) = entries("users: [{username: a, name: 'env://A'}]", around)
    assert entry.fields["name"] == "file:///etc/passwd"


def test_a_file_too_long_or_not_text(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    around = Surroundings(folder=tmp_path, environment={})
    text = "users: [{username: a, name: 'file://long'}, {username: b, name: 'file://binary'}]"
    assert [code for _, code in refusals(text, around)] == ["file_too_long", "file_unreadable"]


def test_certificate_files_are_fields(tmp_path: Path) -> None:
    (tmp_path / "web.pem").write_text("PEM\n")
    (tmp_path / "web.key").write_text("KEY\n")
    around = Surroundings(folder=tmp_path, environment={})
    (entry,) = entries("certificates: [{name: web, certificate_file: web.pem, key_file: web.key}]", around)
    assert dict(entry.fields) == {"name": "web", "certificate": "PEM", "key": "KEY"}


def test_names_of_authentik_are_understood() -> None:
    text = "applications: [{slug: a, group: Docs, meta_launch_url: u, policy_engine_mode: all}]"
    (entry,) = entries(text)
    assert dict(entry.fields) == {"slug": "a", "category": "Docs", "launch_url": "u", "policy_mode": "all"}


def test_an_object_is_spoken_of_once() -> None:
    first = parse("users: [{username: a}]", "a.yaml", NOWHERE)
    second = parse("users: [{username: b}, {username: a, state: absent}]", "b.yaml", NOWHERE)
    with pytest.raises(Invalid) as caught:
        refuse_doubles([*first, *second])
    (problem,) = caught.value.problems
    assert (problem.field, problem.code) == ("b.yaml: users[1].username", "said_twice")
    assert "a.yaml: users[0]" in problem.expected


_keys = st.sampled_from(
    ["version", "endpoints", *(section.name for section in SECTIONS), *{key for s in SECTIONS for key in s.known}]
)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | _keys
_documents = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def _attempt(text: str) -> None:
    try:
        entries(text)
    except Invalid:
        return


@given(st.text(max_size=300))
def test_garbage_is_invalid_and_nothing_else(text: str) -> None:
    _attempt(text)


@given(st.dictionaries(_keys, _documents, max_size=5))
def test_wellformed_nonsense_is_invalid_and_nothing_else(document: dict[str, object]) -> None:
    _attempt(yaml.safe_dump(document))


@pytest.mark.parametrize(
    "text",
    [
        "users: {username: dave, password: sekret-1}",
        "users: ['dave:sekret-1']",
        "users: [{username: dave, password: *sekret-1}]",
        "users: [{username: dave, password: !sekret-1 x}]",
        "sekret-1",
    ],
)
def test_what_stands_in_the_wrong_place_is_not_shown(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        entries(text)
    assert "sekret-1" not in str(caught.value)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Invalid, match="file unreadable"):
        entries(f"users: [{{username: a, name: 'file://{tmp_path}/pipe'}}]")
    with pytest.raises(Invalid, match="file unreadable"):
        entries("users: [{username: a, name: 'file:///dev/zero'}]")
