"""Lines: nobody waits, from whatever thread; what is lost is counted and told once it flows again."""

import fcntl
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from control.serve.lines import Lines
from tests.support.peers_program import eventually


def lost(lines: int) -> bytes:
    return b"lost %d\n" % lines


PAGE = 4096 * b"x"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end, with room for one page."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, len(PAGE))
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def stuck(pipe: tuple[int, int]) -> tuple[int, int]:
    """The same without any room: where some came free meanwhile, lines would be lost in parts."""
    os.write(pipe[1], PAGE)
    return pipe


def line(number: int) -> bytes:
    return (b"%d " % number).ljust(99, b".") + b"\n"


def read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(descriptor, size - len(data))
    return data


def test_lines_are_written_at_once_and_in_order(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[1], lost)
    for number in range(10):
        lines.write(line(number))
    assert lines.settle(5)
    assert read(pipe[0], 1000) == b"".join(line(number) for number in range(10))
    assert (lines.dropped, lines.held) == (0, 0)


def test_nobody_waits_for_a_reader_and_what_is_lost_is_told_with_nothing_else_to_say(stuck: tuple[int, int]) -> None:
    lines = Lines(stuck[1], lost, most=10_000)
    for number in range(500):
        lines.write(line(number))
    assert lines.dropped == 400
    assert not lines.settle(0.01)
    expected = PAGE + b"".join(line(number) for number in range(100)) + lost(400)
    assert read(stuck[0], len(expected)) == expected
    lines.write(b"on\n")
    assert read(stuck[0], 3) == b"on\n"


def test_the_pen_tells_by_itself_what_was_lost(stuck: tuple[int, int]) -> None:
    lines = Lines(stuck[1], lost, most=10_000)
    for number in range(500):
        lines.write(line(number))
    expected = PAGE + b"".join(line(number) for number in range(100)) + lost(400)
    assert read(stuck[0], len(expected)) == expected


def test_one_that_has_gone_costs_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lines = Lines(writing, lost)
    for _ in range(3):
        lines.write(b"gone\n")
        assert lines.settle(5)
    assert lines.dropped == 3
    os.close(writing)


def test_threads_lose_nothing_and_count_all(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[1], lost, most=1_000_000)

    def say() -> None:
        for number in range(500):
            lines.write(line(number))

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = read(pipe[0], 200_000)
    for thread in threads:
        thread.join()
    eventually(lambda: not lines.held, "all is written")
    assert lines.dropped == 0
    assert sorted(said.splitlines(keepends=True)) == sorted(line(number) for number in range(500) for _ in range(4))


def test_a_forked_process_goes_on() -> None:
    program = textwrap.dedent("""
        import os
        from control.serve.lines import Lines
        lines = Lines(1, lambda number: b"lost")
        lines.write(b"parent\\n")
        assert lines.settle(5)
        if os.fork():
            os.wait()
        else:
            lines.write(b"child\\n")
            os._exit(not lines.settle(5))
        lines.write(b"parent again\\n")
        assert lines.settle(5)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "parent\nchild\nparent again\n"
