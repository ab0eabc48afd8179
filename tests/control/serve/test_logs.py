"""Log lines: JSON, one an event."""

import json
import logging
import os
import subprocess
import sys
import textwrap

from control.serve.logs import JsonFormatter


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter("web").format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_fields_stand_beside_the_event() -> None:
    record = logging.LogRecord("control.web", logging.INFO, __file__, 1, "signed %s", ("in",), None)
    record.request_id = "r1"
    record.path = object
    found = line(record)
    assert (found["level"], found["event"], found["logger"], found["process"]) == (
        "info",
        "signed in",
        "control.web",
        "web",
    )
    assert (found["request_id"], found["path"]) == ("r1", str(object))
    assert str(found["timestamp"]).endswith("+00:00")
    assert "args" not in found


def test_an_exception_is_part_of_the_line() -> None:
    try:
        int("broken\nin two")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    assert "ValueError: invalid literal" in str(line(record)["exception"])


def run(program: str) -> list[str]:
    """What a program says on stderr."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=20, check=False).stderr.splitlines()


def test_the_last_lines_come_and_the_traceback_of_a_crash() -> None:
    said = run("""
        import logging
        from control.serve import logs
        logs.configure("web")
        for number in range(300):
            logging.getLogger("control.web").info("%d", number)
        1 / 0
    """)
    assert [json.loads(line)["event"] for line in said[:300]] == [str(number) for number in range(300)]
    assert said[300] == "Traceback (most recent call last):"
    assert said[-1] == "ZeroDivisionError: division by zero"


def test_what_others_print_comes_a_line_at_a_time() -> None:
    said = run("""
        import sys, threading
        from control.serve import logs
        logs.configure("web")
        print("one", 1, file=sys.stderr)
        thread = threading.Thread(target=lambda: print("two", 2, file=sys.stderr))
        thread.start()
        thread.join()
    """)
    assert said == ["one 1", "two 2"]


def test_lines_that_are_lost_are_counted_and_told() -> None:
    reading, writing = os.pipe()
    program = """
        import logging
        from prometheus_client import CollectorRegistry, generate_latest
        from control.serve import logs
        logs.configure("web")
        for number in range(5000):
            logging.getLogger("control.web").info("%d %s", number, "." * 100)
        registry = CollectorRegistry()
        registry.register(logs.Losses())
        print(generate_latest(registry).decode(), flush=True)
        input()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with (
        subprocess.Popen(command, stdin=-1, stdout=-1, stderr=writing, text=True) as process,
        os.fdopen(reading) as pipe,
    ):
        os.close(writing)
        assert process.stdout
        (count,) = [line.split()[1] for line in iter(process.stdout.readline, "\n") if line.startswith("garrison_log")]
        kept = lost = 0
        while kept + lost < 5000:  # where the pipe takes some meanwhile, it is said more than once
            said = json.loads(pipe.readline())
            if "lines" in said:
                assert (said["level"], said["process"]) == ("warning", "web")
                lost += said["lines"]
            else:
                kept += 1
        assert (kept + lost, float(count)) == (5000, lost)
        assert lost > 0
        process.communicate("\n", timeout=30)


def test_a_record_that_makes_no_line_is_told_of() -> None:
    said = run("""
        import logging
        from control.serve import logs
        logs.configure("web")
        logging.getLogger("control.web").info("%d", "three")
        logging.getLogger("control.web").info("on")
    """)
    assert said[0] == "--- Logging error ---"
    assert json.loads(said[-1])["event"] == "on"
