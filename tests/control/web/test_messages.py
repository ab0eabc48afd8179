"""Every code that a command can raise has words of its own."""

import ast
from pathlib import Path

import control

ROOT = Path(control.__file__).parent
# Which argument of a call is a problem's code.
PLACES = {"refuse": 1, "problem": 1, "note": 1, "BadOption": 0, "Refused": 0, "NotAnOrigin": 0, "NotAnEngineUrl": 0}
# Not problems of forms: answers to machines, and pages with templates of their own.
ELSEWHERE = {"unknown_token", "bad_mac", "bad_request", "too_many_requests"}


def codes_in(source: str) -> set[str]:
    """The codes that a module's calls name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            arguments = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            arguments += node.args[PLACES[name] :][:1] if name in PLACES else []
            constants = (each.value for each in arguments if isinstance(each, ast.Constant))
            found.update(value for value in constants if isinstance(value, str))
    return found


def test_every_code_has_words() -> None:
    modules = [path for folder in ("fleet", "auth", "domain", "store", "web") for path in (ROOT / folder).rglob("*.py")]
    codes = set().union(*(codes_in(path.read_text()) for path in modules))
    assert {"not_yaml", "too_long", "last_superuser", "not_a_pattern", "not_a_number"} <= codes
    messages = (ROOT / "web" / "templates" / "messages.html").read_text()
    missing = {code for code in codes - ELSEWHERE if f'"{code}"' not in messages}
    assert missing == set()
