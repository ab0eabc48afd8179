"""How a check ends: its findings one a line, and a non-zero exit if there are any."""

import sys
from collections.abc import Iterable


def report(findings: Iterable[str]) -> int:
    """Write the findings and return the exit code."""
    lines = list(findings)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0
