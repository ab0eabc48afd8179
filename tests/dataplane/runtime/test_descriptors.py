"""The limit of open files, changed in a process of its own, and what is made of it."""

import resource
import subprocess
import sys

import pytest

from dataplane.runtime.descriptors import ENOUGH, connections_within


def run(soft: int, hard: int) -> tuple[int, int]:
    """What a program that starts with these limits has after raising them, and whether it says the same."""
    program = (
        "import resource; from dataplane.runtime.descriptors import raise_limit;"
        "said = raise_limit(); print(said, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    output = subprocess.check_output([sys.executable, "-c", program], preexec_fn=limit, text=True)
    said, limited = output.split()
    return int(said), int(limited)


@pytest.mark.parametrize(("soft", "hard", "expected"), [(256, 1000, 1000), (1000, 1000, 1000), (1000, 2048, 2048)])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int, expected: int) -> None:
    assert run(soft, hard) == (expected, expected)


def test_connections_leave_descriptors_for_everything_else() -> None:
    assert connections_within(256, "ldap") == 128
    assert connections_within(1024, "ldap") == 512
    assert connections_within(ENOUGH, "ldap") > 8192 * 2


def test_what_is_passed_on_takes_two() -> None:
    assert connections_within(1200, "proxy") == 344
    assert connections_within(ENOUGH, "proxy") > 20_000
