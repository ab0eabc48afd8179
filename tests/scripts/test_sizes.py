"""What is too long is found, a reason beside it is heard."""

from pathlib import Path

import pytest

from scripts.sizes import MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION, findings

STATEMENTS = "    x = 1\n"


def function(length: int, head: str = "def long():") -> str:
    return f"{head}\n{STATEMENTS * length}"


def found(folder: Path, name: str, text: str) -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return list(findings(folder))


def test_a_function_may_be_as_long_as_the_limit(tmp_path: Path) -> None:
    assert found(tmp_path, "a.py", function(MOST_LINES_OF_A_FUNCTION)) == []


def test_a_function_over_the_limit_is_found(tmp_path: Path) -> None:
    [finding] = found(tmp_path, "a.py", f"import os\n{function(MOST_LINES_OF_A_FUNCTION + 1)}")
    assert finding.startswith("a.py:2: long has 41 lines, at most 40")


def test_an_async_method_over_the_limit_is_found(tmp_path: Path) -> None:
    body = "        x = 1\n" * (MOST_LINES_OF_A_FUNCTION + 1)
    [finding] = found(tmp_path, "a.py", f"class A:\n    async def run(self):\n{body}")
    assert finding.startswith("a.py:2: run has 41 lines")


def test_signature_and_docstring_do_not_count(tmp_path: Path) -> None:
    head = 'def long(\n    a: int,\n    b: int,\n) -> None:\n    """One.\n\n    Two.\n    """'
    assert found(tmp_path, "a.py", function(MOST_LINES_OF_A_FUNCTION, head)) == []


@pytest.mark.parametrize(
    "head",
    [
        "def long():  # long: a table of the dialects",
        "# long: a table of the dialects\ndef long():",
        "# long: a table of the dialects\n@decorated\ndef long():",
    ],
)
def test_a_reason_beside_a_function_is_heard(tmp_path: Path, head: str) -> None:
    assert found(tmp_path, "a.py", function(MOST_LINES_OF_A_FUNCTION + 1, head)) == []


@pytest.mark.parametrize(
    "head", ["def long():  # long:", "def long():  # long: yes", "# long: far away\n\n\ndef long():"]
)
def test_no_reason_is_no_reason(tmp_path: Path, head: str) -> None:
    assert len(found(tmp_path, "a.py", function(MOST_LINES_OF_A_FUNCTION + 1, head))) == 1


@pytest.mark.parametrize("name", ["a.py", "app.js", "app.css", "page.html", "link.proto"])
def test_a_file_over_the_limit_is_found(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, "\n" * MOST_LINES_OF_A_FILE) == []
    [finding] = found(tmp_path, name, "\n" * (MOST_LINES_OF_A_FILE + 1))
    assert finding.startswith(f"{name}:1: 401 lines, at most 400")


def test_a_reason_in_the_head_of_a_file_is_heard(tmp_path: Path) -> None:
    assert found(tmp_path, "app.css", "/* long: one rule for each part */\n" + "\n" * MOST_LINES_OF_A_FILE) == []


@pytest.mark.parametrize("name", ["protos/link_pb2.py", "store/migrations/versions/0001_first.py", "node_modules/a.js"])
def test_what_a_program_wrote_is_left_out(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, "\n" * (MOST_LINES_OF_A_FILE + 1)) == []
