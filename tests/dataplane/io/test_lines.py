"""Lines: whole, in order, never waited for; what is lost is counted and told where it is missing."""

import fcntl
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.os import tp_read
from hypothesis import given
from hypothesis import strategies as st

from dataplane.io.lines import LineLimits, Lines
from dataplane.io.pen import MOST, packed
from tests.dataplane.io.lines import until

QUICK = LineLimits(held=2000, batch=500, delay=0.005)
PIPE = 4096
"""The least a pipe holds."""


def lost(lines: int) -> bytes:
    return b"lost %d\n" % lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Reading and writing end, with room for one page."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
    yield ends
    for end in ends:
        os.close(end)


def line(number: int, size: int = 100) -> bytes:
    return (b"%d " % number).ljust(size - 1, b".") + b"\n"


def read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += tp_read(descriptor, size - len(data))
    return data


class TestWriting:
    def test_lines_are_written_in_order_after_a_while(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, QUICK)
        lines.write(b"one\n")
        lines.write(b"two\n")
        assert lines.held == 8
        until(lambda: not lines.held)
        assert read(pipe[0], 8) == b"one\ntwo\n"
        lines.write(b"three\n")
        until(lambda: not lines.held)
        assert read(pipe[0], 6) == b"three\n"
        assert lines.dropped == 0

    def test_a_batch_is_written_at_once(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, LineLimits(held=2000, batch=300, delay=3600))
        for number in range(3):
            lines.write(line(number))
        assert read(pipe[0], 300) == b"".join(line(number) for number in range(3))

    def test_the_last_lines_are_waited_for(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, LineLimits(delay=3600))
        lines.write(b"last\n")
        assert lines.settle(5)
        assert read(pipe[0], 5) == b"last\n"

    def test_but_not_for_ever(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, LineLimits(delay=3600))
        for number in range(100):
            lines.write(line(number))
        assert not lines.settle(0.05)
        read(pipe[0], 10_000)

    def test_a_descriptor_that_doesnt_block_is_waited_for_by_the_thread(self, pipe: tuple[int, int]) -> None:
        """Somebody who has it too has made it so."""
        os.set_blocking(pipe[1], False)
        lines = Lines(pipe[1], lost, LineLimits(delay=0.001))
        for number in range(100):
            lines.write(line(number))
        gevent.sleep(0.02)
        assert read(pipe[0], 10_000) == b"".join(line(number) for number in range(100))
        until(lambda: not lines.held)
        assert lines.dropped == 0

    def test_a_file_gets_them_too(self, tmp_path: Path) -> None:
        with (tmp_path / "log").open("wb") as file:
            lines = Lines(file.fileno(), lost, QUICK)
            for number in range(15):
                lines.write(line(number))
            assert lines.settle(5)
        assert (tmp_path / "log").read_bytes() == b"".join(line(number) for number in range(15))


class TestAReaderThatIsSlow:
    def test_nobody_waits_for_it_and_what_is_lost_is_told_once_it_reads(self, pipe: tuple[int, int]) -> None:
        full = PIPE * b"x"
        os.write(pipe[1], full)  # where room came free meanwhile, lines would be lost in parts
        lines = Lines(pipe[1], lost, QUICK)
        for number in range(500):
            lines.write(line(number))
            if number % 20 == 0:
                gevent.sleep(0)
        assert lines.dropped == 480
        assert lines.held <= QUICK.held
        expected = full + b"".join(line(number) for number in range(20)) + lost(480)
        assert read(pipe[0], len(expected)) == expected
        lines.write(b"on\n")
        assert lines.settle(5)
        assert read(pipe[0], 3) == b"on\n"

    def test_they_stand_where_they_are_missing(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, LineLimits(held=300, batch=500, delay=3600))
        for number in range(5):
            lines.write(line(number))
        assert lines.dropped == 2
        assert lines.settle(5)
        lines.write(b"later\n")
        assert lines.settle(5)
        expected = b"".join(line(number) for number in range(3)) + b"lost 2\n" + b"later\n"
        assert read(pipe[0], len(expected)) == expected

    def test_one_that_has_gone_costs_lines_and_nothing_else(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        lines = Lines(writing, lost, QUICK)
        for _ in range(3):
            lines.write(b"gone\n")
            assert lines.settle(5)
        assert lines.dropped == 3
        os.close(writing)

    def test_a_line_that_is_too_long_is_lost(self, pipe: tuple[int, int]) -> None:
        lines = Lines(pipe[1], lost, LineLimits())
        lines.write(b"." * MOST + b"\n")
        lines.write(b"short\n")
        assert lines.settle(5)
        assert read(pipe[0], 13) == b"lost 1\nshort\n"


class TestSeveralProcesses:
    def test_their_lines_are_never_mixed(self) -> None:
        """With a reader that is slow, so that all of them wait for the same room."""
        program = textwrap.dedent("""
            import sys
            from dataplane.io.lines import LineLimits, Lines
            lines = Lines(1, lambda number: b"lost\\n", LineLimits(held=10_000_000, delay=0.001))
            for number in range(2000):
                lines.write((sys.argv[1] * (50 + number % 900)).encode() + b"\\n")
            assert lines.settle(20)
        """)
        reading, writing = os.pipe()
        started = [subprocess.Popen([sys.executable, "-c", program, name], stdout=writing) for name in "abc"]
        os.close(writing)
        said = b""
        while data := os.read(reading, 3000):
            said += data
        os.close(reading)
        assert [process.wait() for process in started] == [0, 0, 0]
        lines = said.split(b"\n")[:-1]
        assert len(lines) == 6000
        assert all(len(set(each)) == 1 for each in lines)


class TestPacking:
    @given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(50, 120))
    def test_nothing_is_cut_or_lost_and_no_piece_is_too_long(self, lines: list[bytes], most: int) -> None:
        pieces = list(packed(lines, most))
        assert b"".join(piece for piece, _ in pieces) == b"".join(lines)
        assert sum(count for _, count in pieces) == len(lines)
        assert all(len(piece) <= most for piece, _ in pieces)


def test_the_thread_is_one_of_the_system() -> None:
    """Also where everything else is patched: a greenlet would block the worker with it."""
    program = textwrap.dedent("""
        from gevent import monkey; monkey.patch_all()
        import os, time, gevent
        from dataplane.io.lines import LineLimits, Lines
        reading, writing = os.pipe()
        lines = Lines(writing, lambda number: b"", LineLimits(held=10_000_000, delay=0.001))
        for _ in range(5000):
            lines.write(b"." * 99 + b"\\n")
        for _ in range(5):
            gevent.sleep(0.01)
        print("alive", lines.held > 0, flush=True)
        os._exit(0)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "alive True\n", done.stderr
