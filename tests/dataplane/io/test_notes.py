"""Notes: nobody waits, from whatever thread; what is lost is counted and told once it flows again."""

import fcntl
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from dataplane.io.notes import Notes
from dataplane.io.pen import MOST
from tests.dataplane.io.lines import until


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
    notes = Notes(pipe[1], lost)
    for number in range(10):
        notes.write(line(number))
    assert notes.settle(5)
    assert read(pipe[0], 1000) == b"".join(line(number) for number in range(10))
    assert (notes.dropped, notes.held) == (0, 0)


def test_nobody_waits_for_a_reader_and_what_is_lost_is_told_with_nothing_else_to_say(stuck: tuple[int, int]) -> None:
    notes = Notes(stuck[1], lost, most=10_000)
    for number in range(500):
        notes.write(line(number))
    assert notes.dropped == 400
    assert not notes.settle(0.01)
    expected = PAGE + b"".join(line(number) for number in range(100)) + lost(400)
    assert read(stuck[0], len(expected)) == expected
    notes.write(b"on\n")
    assert read(stuck[0], 3) == b"on\n"


def test_the_pen_tells_by_itself_what_was_lost(stuck: tuple[int, int]) -> None:
    notes = Notes(stuck[1], lost, most=10_000)
    for number in range(500):
        notes.write(line(number))
    expected = PAGE + b"".join(line(number) for number in range(100)) + lost(400)
    assert read(stuck[0], len(expected)) == expected


def test_one_that_has_gone_costs_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    notes = Notes(writing, lost)
    for _ in range(3):
        notes.write(b"gone\n")
        assert notes.settle(5)
    assert notes.dropped == 3
    os.close(writing)


def test_a_line_that_is_too_long_is_lost(pipe: tuple[int, int]) -> None:
    notes = Notes(pipe[1], lost)
    notes.write(b"." * MOST + b"\n")
    notes.write(b"short\n")
    assert read(pipe[0], 13) == b"lost 1\nshort\n"


def test_threads_lose_nothing_and_count_all(pipe: tuple[int, int]) -> None:
    notes = Notes(pipe[1], lost, most=1_000_000)

    def say() -> None:
        for number in range(500):
            notes.write(line(number))

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    said = read(pipe[0], 200_000)
    for thread in threads:
        thread.join()
    until(lambda: not notes.held)
    assert notes.dropped == 0
    assert sorted(said.splitlines(keepends=True)) == sorted(line(number) for number in range(500) for _ in range(4))


def test_a_greenlet_waits_for_nobody_either() -> None:
    """Also where everything else is patched."""
    program = textwrap.dedent("""
        from gevent import monkey; monkey.patch_all()
        import os, gevent
        from dataplane.io.notes import Notes
        reading, writing = os.pipe()
        notes = Notes(writing, lambda number: b"", most=10_000_000)
        for _ in range(5000):
            notes.write(b"." * 99 + b"\\n")
        for _ in range(5):
            gevent.sleep(0.01)
        print("alive", notes.held > 0, notes.settle(0.05), flush=True)
        os._exit(0)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "alive True False\n", done.stderr


def test_a_process_without_gevent_needs_none() -> None:
    program = "import dataplane.io.notes, sys; print('gevent' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "False\n"
