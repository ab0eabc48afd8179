"""What a worker writes when a greenlet crashes, in a process of its own, since gevent's hub is one per thread."""

import json
import subprocess
import sys

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import gevent
from dataplane.runtime import logs, serving
logs._LAST_WORDS = 15
logs.set_up("info", {"worker": 0})
gevent.get_hub().print_exception = serving.log_crash
gevent.spawn(lambda: 1 / 0).join()
"""


def test_a_crash_is_one_line_of_json() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["worker"], line["error"]) == ("a greenlet crashed", 0, "division by zero")
    assert "ZeroDivisionError" in line["exception"]
