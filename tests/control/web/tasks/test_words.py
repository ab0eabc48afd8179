"""Every code that tasks and integrations say or raise has words, whose places are filled by what is said with it."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest
from jinja2 import Template

import control.integrations
import control.tasks
from control.domain.task import CAUSES
from tests.support.site import Site

PACKAGES = (control.tasks, control.integrations)
# What a code is said with, by the name of what is called: where it stands.
CALLS = {
    "Said": "code",
    "TargetAway": "code",
    "ActionFailed": "code",
    "Trouble": "code",
    "say": "code",
    "_told": "code",
}
PLACE = re.compile(r"\{([a-z_]+)\}")


@cache
def modules() -> tuple[ModuleType, ...]:
    found = (info.name for each in PACKAGES for info in walk_packages(each.__path__, f"{each.__name__}."))
    return tuple(import_module(name) for name in found)


def sources() -> Iterator[ast.AST]:
    for module in modules():
        if module.__file__ is not None:
            yield ast.parse(Path(module.__file__).read_text())


def closed_codes() -> set[str]:
    """What the modules themselves say that they use."""
    return {code for module in modules() for code in getattr(module, "CODES", ())}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Each call that names a code by itself, by that code."""
    for source in sources():
        for node in ast.walk(source):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                arguments = [*node.args, *(each.value for each in node.keywords if each.arg == "code")]
                codes = [each.value for each in arguments[:2] if isinstance(each, ast.Constant) and each.value]
                if name in CALLS and codes and isinstance(codes[0], str):
                    yield codes[0], node


def constants() -> set[str]:
    """Every text that is nothing but itself."""
    nodes = (node for source in sources() for node in ast.walk(source) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def given(call: ast.Call) -> set[str] | None:
    """What a call fills places with; None where that can't be read."""
    values = next((each.value for each in call.keywords if each.arg == "values"), None)
    if isinstance(values, ast.Dict):
        return {key.value for key in values.keys if isinstance(key, ast.Constant)}  # type: ignore[misc] # text
    is_say = isinstance(call.func, ast.Attribute) and call.func.attr == "say"
    return {each.arg for each in call.keywords if each.arg} if is_say else None


@pytest.fixture
def words(site: Site) -> Mapping[str, Mapping[str, str]]:
    """The tables, by name."""
    module = site.app.jinja_env.get_template("tasks/words.html").module
    return {name: getattr(module, name) for name in ("LINES", "ERRORS", "ADVICE", "CAUSES")}


def render(site: Site, text: str, **values: object) -> str:
    template: Template = site.app.jinja_env.from_string('{% import "tasks/words.html" as words %}' + text)
    return template.render(**values)


def test_every_code_has_words(words: Mapping[str, Mapping[str, str]]) -> None:
    codes = closed_codes()
    assert {"engine_away", "no_image", "pulling", "deploying", "crashed"} <= codes
    assert codes - words["LINES"].keys() - words["ERRORS"].keys() == set()


def test_every_code_that_is_said_by_itself_has_words(words: Mapping[str, Mapping[str, str]]) -> None:
    said = {code for code, _ in calls()}
    assert {"waiting_healthy", "not_healthy", "ssh_refused"} <= said
    assert said - words["LINES"].keys() - words["ERRORS"].keys() == set()


def test_no_words_are_dead(words: Mapping[str, Mapping[str, str]]) -> None:
    assert {*words["LINES"], *words["ERRORS"]} - constants() == set()
    assert words["ADVICE"].keys() == words["ERRORS"].keys()
    assert words["CAUSES"].keys() == CAUSES


def test_what_is_said_fills_all_places(words: Mapping[str, Mapping[str, str]]) -> None:
    for code, call in calls():
        values = given(call)
        if values is not None and code in words["LINES"]:
            assert set(PLACE.findall(words["LINES"][code])) <= values, code


def test_an_unknown_code_is_shown_as_itself(site: Site) -> None:
    said = render(site, "{{ words.line('new<code>', {'image': '<b>', 'n': 3}) }}")
    assert said == "<code>new&lt;code&gt;</code> image: <bdi>&lt;b&gt;</bdi>, n: <bdi>3</bdi>"
    failed = render(site, "{{ words.error('new', {'detail': 'no <way>'}) }}{{ words.advice('new') }}")
    assert failed == '<code>new</code> <span class="g-said"><bdi>no &lt;way&gt;</bdi></span>'


def test_the_words_of_whoever_refused_follow(site: Site) -> None:
    said = '<span class="g-said"><bdi>port 389 is taken</bdi></span>'
    for told in ("{'detail': 'port 389 is taken'}", "{}, detail='port 389 is taken'"):
        assert render(site, "{{ words.error('not_started', " + told + ") }}").endswith(f"be started. {said}")


def test_a_line_tells_why(site: Site) -> None:
    for name in ("code", "error"):
        said = render(site, "{{ words.line('attempt_failed', values) }}", values={"seconds": "9", name: "engine_away"})
        assert said == "This attempt failed; the next one begins in <bdi>9</bdi> s. The engine doesn&#39;t answer."


def test_causes(site: Site) -> None:
    assert render(site, "{{ words.cause('schedule') }}, {{ words.cause('<b>') }}") == "Schedule, <bdi>&lt;b&gt;</bdi>"
