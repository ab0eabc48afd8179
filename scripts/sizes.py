"""No source file over 400 lines and no Python function over 40, unless a comment beside it says why.

The comment is `# long: reason` (in other languages whatever holds the words `long: reason`): for a function on the
line of its `def` or the one above its head, for a file among its first lines. A function's length is that of its
body, without signature and docstring. What a program wrote is left out.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.report import report
from scripts.tree import ROOT, sources

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 40
HEAD = 20
SUFFIXES = (".py", ".js", ".mjs", ".css", ".html", ".proto")
# Written by protoc, and by Alembic: a migration lists the tables it makes, however many there are.
GENERATED = re.compile(r"_pb2(_grpc)?\.py$|/migrations/versions/")
REASON = re.compile(r"\blong: \S+ \S+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def findings(root: Path) -> Iterator[str]:
    """What is too long below root, as `path:line: what`."""
    for path in sources(root, *SUFFIXES):
        name = path.relative_to(root).as_posix()
        if not GENERATED.search(name):
            yield from _of_file(name, path.read_text())


def _of_file(name: str, text: str) -> Iterator[str]:
    lines = text.splitlines()
    if len(lines) > MOST_LINES_OF_A_FILE and not any(REASON.search(line) for line in lines[:HEAD]):
        yield f"{name}:1: {len(lines)} lines, at most {MOST_LINES_OF_A_FILE} without a reason (# long: why)"
    if name.endswith(".py"):
        yield from (f"{name}:{finding}" for finding in _of_functions(ast.parse(text), lines))


def _of_functions(module: ast.Module, lines: list[str]) -> Iterator[str]:
    for node in ast.walk(module):
        if not isinstance(node, Function) or _has_reason(node, lines):
            continue
        length = _body_length(node)
        if length > MOST_LINES_OF_A_FUNCTION:
            limit = f"at most {MOST_LINES_OF_A_FUNCTION} without a reason (# long: why)"
            yield f"{node.lineno}: {node.name} has {length} lines, {limit}"


def _body_length(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1 if body else 0


def _has_reason(function: Function, lines: list[str]) -> bool:
    head = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    above_head = lines[head - 2] if head > 1 else ""
    return bool(REASON.search(lines[function.lineno - 1]) or REASON.search(above_head))


if __name__ == "__main__":
    sys.exit(report(findings(ROOT)))
