"""The generated gRPC code: `write` makes it, `check` says whether it is what the .proto files make today.

`release` writes protos/released.binpb, the protos as the last release speaks them; `make check` refuses a change that
would break an outpost or a control plane of that release. Until 0.1.0 is out it is the baseline of development.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.report import report
from scripts.tree import ROOT

FOLDER = Path("protos/outpost/v1")
RELEASED = Path("protos/released.binpb")
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def write(root: Path, output: Path) -> None:
    """Generate the code of root's protos below output.

    Raises subprocess.CalledProcessError when a file isn't valid; protoc has said why.
    """
    languages = [f"--{language}_out={output}" for language in ("python", "pyi", "grpc_python")]
    _protoc(root, *languages)


def findings(root: Path) -> Iterator[str]:
    """Each generated file that is missing, stale or left over."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        write(root, fresh)
        for name in sorted(_generated(root) | _generated(fresh)):
            problem = _difference(root / name, fresh / name)
            if problem:
                yield f"{name.as_posix()} {problem}: run make protos"


def release(root: Path) -> None:
    """Make today's protos the ones to stay compatible with."""
    _protoc(root, "--include_imports", f"--descriptor_set_out={RELEASED}")


def _generated(root: Path) -> set[Path]:
    return {path.relative_to(root) for pattern in GENERATED for path in (root / FOLDER).glob(pattern)}


def _difference(committed: Path, fresh: Path) -> str | None:
    if not committed.exists():
        return "is missing"
    if not fresh.exists():
        return "has no .proto any more"
    return None if committed.read_bytes() == fresh.read_bytes() else "isn't what its .proto makes"


def _protoc(root: Path, *options: str) -> None:
    names = sorted(path.relative_to(root).as_posix() for path in (root / FOLDER).glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *options, *names]
    subprocess.run(command, cwd=root, check=True)  # noqa: S603  our own arguments, no shell


def _main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            write(ROOT, ROOT)
            return 0
        case ["release"]:
            release(ROOT)
            return 0
        case ["check"]:
            return report(findings(ROOT))
        case _:
            return report(["usage: python -m scripts.protos write|check|release"])


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
