"""Log lines: JSON, one a record, and neither secrets nor forged lines in them."""

import json
import logging
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import TRACE
from dataplane.io.pen import MOST
from dataplane.runtime import logs


def line(message: str, *args: object, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("dataplane.x", logging.INFO, "f.py", 1, message, args, None)
    vars(record).update(extra)
    text = logs.JsonFormatter({"worker": 1}).format(record)
    assert "\n" not in text
    read = json.loads(text)
    assert isinstance(read, dict)
    return read


def test_fields_stand_beside_the_event() -> None:
    read = line("it %s", "works", request_id="r1", host="wiki")
    assert {key: read[key] for key in ("event", "level", "logger", "worker", "request_id", "host")} == {
        "event": "it works",
        "level": "info",
        "logger": "dataplane.x",
        "worker": 1,
        "request_id": "r1",
        "host": "wiki",
    }


def test_a_peer_cannot_forge_a_line() -> None:
    assert line("request", path='/\n{"event": "forged"}')["path"] == '/\n{"event": "forged"}'


def test_secrets_are_masked() -> None:
    assert line("x", token="t", cookie="c", authorization="a") | {"timestamp": ""} == line("x") | {
        "timestamp": "",
        "token": "[redacted]",
        "cookie": "[redacted]",
        "authorization": "[redacted]",
    }


def test_the_level_follows_the_word() -> None:
    logger = logging.getLogger("dataplane")
    before = logger.level
    try:
        logs.set_level("trace")
        assert logger.isEnabledFor(TRACE)
        logs.set_level("error")
        assert not logger.isEnabledFor(logging.WARNING)
        logs.set_level("no such word")
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)


def run(program: str, seconds: float = 20) -> list[dict[str, Any]]:
    """What a program logs; it may end as it likes, and should leave its last words longer than a busy machine needs."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=seconds, check=False)
    return [json.loads(line) for line in done.stderr.splitlines()]


class TestLength:
    @given(st.dictionaries(st.text(max_size=20), st.one_of(st.integers(), st.text(), st.lists(st.text())), max_size=9))
    def test_any_line_is_short_enough_to_be_written_whole(self, fields: dict[str, object]) -> None:
        text = logs.encode({"event": "x", **fields, "much": "é\n" * 3000, "more": "y" * 9000})
        assert len(text) < MOST
        assert text.isascii()
        assert json.loads(text)["event"] == fields.get("event", "x")

    def test_of_a_long_traceback_both_ends_are_left(self) -> None:
        read = json.loads(logs.encode({"event": "broke", "exception": f"Traceback{chr(10) * 9000}ValueError: the end"}))
        assert read["event"] == "broke"
        assert read["exception"].startswith("Traceback")
        assert read["exception"].endswith("ValueError: the end")

    def test_nothing_is_cut_from_others(self) -> None:
        assert json.loads(logs.encode({"event": "e" * 3000, "n": 1})) == {"event": "e" * 3000, "n": 1}


class TestLastWords:
    @pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
    def test_of_an_exception_that_nobody_caught(self, patch: str) -> None:
        (line,) = run(f"""
            {patch}
            from dataplane.runtime import logs
            logs._LAST_WORDS = 15
            logs.set_up("info", {{"worker": 0}})
            1 / 0
        """)
        assert (line["level"], line["worker"], line["error"]) == (
            "critical",
            0,
            "ZeroDivisionError('division by zero')",
        )
        assert "Traceback" in line["exception"]

    def test_of_threads_and_of_what_is_thrown_away(self) -> None:
        lines = run("""
            import threading
            from dataplane.runtime import logs
            logs._LAST_WORDS = 15
            logs.set_up("info", {})
            class Broken:
                def __del__(self):
                    raise ValueError("thrown away")
            Broken()
            thread = threading.Thread(target=lambda: 1 / 0, name="helper")
            thread.start()
            thread.join()
        """)
        assert [line["error"] for line in lines] == [
            "ValueError('thrown away')",
            "ZeroDivisionError('division by zero')",
        ]
        assert lines[1]["where"] == "helper"

    def test_of_a_record_that_makes_no_line(self) -> None:
        (line,) = run("""
            import logging
            from dataplane.runtime import logs
            logs._LAST_WORDS = 15
            logs.set_up("info", {})
            logging.getLogger("dataplane.x").info("%d", "three")
        """)
        assert (line["event"], line["where"]) == ("a line of the log can't be made", "<string>:6")

    def test_of_a_process_that_ends_at_once(self) -> None:
        lines = run("""
            import logging, os
            from dataplane.runtime import logs
            logs._LAST_WORDS = 15
            logs.set_up("info", {})
            for number in range(1000):
                logging.getLogger("dataplane.x").info("%d", number)
            logging.shutdown()
            os._exit(0)
        """)
        assert [line["event"] for line in lines] == [str(number) for number in range(1000)]

    def test_are_not_waited_for_for_ever(self) -> None:
        reading, writing = os.pipe()
        program = """
            import logging
            from dataplane.runtime import logs
            logs.set_up("info", {})
            for number in range(1000):
                logging.getLogger("dataplane.x").info("." * 900)
            1 / 0
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        assert subprocess.run(command, stderr=writing, timeout=30, check=False).returncode == 1
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert all(json.loads(line)["event"] for line in pipe)
