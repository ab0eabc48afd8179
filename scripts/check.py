"""`make check`: everything about the repository that can be judged without running the product.

The checks run side by side; each ends in one line with its time, and one that fails shows its tool's own words.
Names given as arguments choose among them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from scripts.tree import ROOT

BIN = Path(sys.executable).parent
BUF = ROOT / "scripts" / "tools" / "node_modules" / ".bin" / "buf"
CODE = ("control", "dataplane", "tests", "scripts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command that exits with 0 when all is well."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a check went."""

    check: Check
    passed: bool
    seconds: float
    output: str


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


# The slowest first, so that the others run beside it.
CHECKS = (
    Check(name="types", command=_tool("mypy", *(f"--package={package}" for package in (*CODE, "protos")))),
    Check(name="layers", command=_tool("lint-imports", "--no-logo")),
    Check(name="format", command=_tool("ruff", "format", "--check", "--output-format=concise", *CODE)),
    Check(name="lint", command=_tool("ruff", "check", "--output-format=concise", *CODE)),
    Check(name="migrations", command=_module("control.store.migrate", "check")),
    Check(name="generated", command=_module("scripts.protos", "check")),
    Check(name="protos", command=(str(BUF), "lint")),
    Check(name="breaking", command=(str(BUF), "breaking", "--against", "protos/released.binpb")),
    Check(name="sizes", command=_module("scripts.sizes")),
    Check(name="dependencies", command=_module("scripts.dependencies")),
    Check(name="links", command=_module("scripts.links")),
    Check(name="hygiene", command=_module("scripts.hygiene")),
)


def run(check: Check) -> Result:
    """Run one check to its end."""
    begun = time.monotonic()
    finished = subprocess.run(  # noqa: S603  the commands above, no shell
        check.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return Result(
        check=check,
        passed=finished.returncode == 0,
        seconds=time.monotonic() - begun,
        output=finished.stdout.decode(errors="replace"),
    )


def render(result: Result) -> str:
    """Return a line, and below it what a failed check said."""
    line = f"{'ok  ' if result.passed else 'FAIL'} {result.check.name:<13}{result.seconds:5.1f} s\n"
    return line if result.passed else f"{line}{_indented(result.output)}"


def chosen(names: list[str]) -> Iterator[Check]:
    """The checks of these names, or all.

    Raises ValueError when there is none of a name.
    """
    known = {check.name: check for check in CHECKS}
    for name in names or known:
        if name not in known:
            raise ValueError(f"no check {name!r}; there are {', '.join(known)}")
        yield known[name]


def _indented(output: str) -> str:
    return "".join(f"     {line}\n" for line in output.rstrip().splitlines())


def main(names: list[str]) -> int:
    """Run the checks and say how each went."""
    try:
        checks = list(chosen(names))
    except ValueError as error:
        sys.stderr.write(f"check: {error}\n")
        return 2
    results = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for future in as_completed([pool.submit(run, check) for check in checks]):
            results.append(future.result())
            sys.stdout.write(render(results[-1]))
            sys.stdout.flush()
    failed = sum(not result.passed for result in results)
    sys.stdout.write(f"{len(results) - failed} checks passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
