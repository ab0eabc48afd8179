"""The arithmetic of the benchmark; the measurements themselves are no tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import ldap, ldap_requests, proxying
from tests.bench.ldap_requests import People
from tests.bench.load import Run, read_wrk, write_script
from tests.bench.proxies import HAPROXY, NGINX, OURS, QUIET
from tests.bench.samples import median, percentile
from tests.support.ldap_ber import Search

WRK = """Running 4s test @ http://127.0.0.1:9000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   590.00us    1.21ms  20.00ms   95.00%
    Req/Sec    51.00k     2.00k   55.00k    70.00%
  Latency Distribution
     50%  480.00us
     75%  610.00us
     90%    1.05ms
     99%    6.99ms
  200000 requests in 4.00s, 180.00MB read
Requests/sec:  50000.00
Transfer/sec:     45.00MB
"""


def test_a_report_of_wrk_is_read() -> None:
    run = read_wrk(WRK, seconds=3.0)
    assert (run.rate, run.p50, run.p99, run.cpu) == (50000.0, 0.48, 6.99, 15.0)
    assert run.busy == pytest.approx(0.75)


@pytest.mark.parametrize(
    "line", ["  Non-2xx or 3xx responses: 5", "  Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_a_run_with_failures_is_no_measurement(line: str) -> None:
    with pytest.raises(AssertionError, match=line.strip()[:10]):
        read_wrk(WRK.replace("Requests/sec", line + "\nRequests/sec"), seconds=3.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_values_that_occurred(share: float, value: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_a_script_asks_in_turn_with_a_number_that_counts_up(tmp_path: Path) -> None:
    path = write_script(tmp_path / "x.lua", [("GET /a", " HTTP/1.1\r\n\r\n"), ("GET /b", "'\\")])
    text = path.read_text()
    assert "'GET\\032\\047a'" in text
    assert "'\\039\\092'" in text
    assert "question[1] .. counter .. question[2]" in text


def test_one_question_is_asked_as_it_is(tmp_path: Path) -> None:
    assert ".. '' .." in write_script(tmp_path / "x.lua", [("a", "b")]).read_text()


LDAP = (
    '{"operations": 20000, "entries": 40000, "bytes": 1, "failures": 0, "seconds": 2.0, "p50": 480.0, "p99": 6990.0, '
    '"longest": 7000.0}'
)


def test_a_report_of_the_load_of_ldap_is_read() -> None:
    run = ldap.read(LDAP, 0.5, 0.1)
    assert (run.rate, run.entries, run.p50, run.p99, run.cpu, run.load) == (10000.0, 2.0, 0.48, 6.99, 25.0, 5.0)
    assert run.busy == pytest.approx(0.25)
    with pytest.raises(AssertionError):
        ldap.read(LDAP.replace('"failures": 0', '"failures": 1'), 0.5, 0.1)


def test_messages_of_the_load_count_up_and_take_a_cookie() -> None:
    asked = ldap_requests.message(Search(base="dc=test").ber)
    assert asked[2:8] == ldap_requests.ID
    (paged,) = ldap_requests.dump(People(base="dc=test", usernames=(), mails=(), dns=(), cuts=()))
    # Each length that the cookie adds to has two bytes, and the empty cookie is last.
    assert paged.startswith(b"\x30\x82" + (len(paged) - 4).to_bytes(2, "big"))
    assert paged.endswith(b"\x04\x82\0\0")


def test_the_page_tells_what_mode_proxy_takes_of_nginx() -> None:
    rates = {OURS: 20_000.0, QUIET: 25_000.0, NGINX: 40_000.0, HAPROXY: 30_000.0}
    runs = {name: [Run(rate=rate, p50=1.0, p99=2.0, cpu=1e6 / rate)] for name, rate in rates.items()}
    message = [proxying.Messages(rate=10_000.0, p50=0.1, p99=0.2, cpu=10.0)]
    memory = proxying.Memory(idle=8.0, websocket=30.0)
    measured = proxying.Proxying(
        answers=dict.fromkeys(proxying.LOADS, runs),
        messages=dict.fromkeys(rates, message),
        memory={name: memory for name in rates if name != QUIET},
    )
    assert (measured.ratio("small"), measured.ratio("small", HAPROXY)) == (0.5, 0.75)
    text = "\n".join(proxying.section(measured))
    assert "reaches **0.50** of nginx's rate" in text
    assert "it is **0.50** and 0.62: 50.0 µs a request,\n10.0 of them for the log's line" in text
    assert "| 128 bytes | Garrison | 20,000 | 20,000 to 20,000 | **0.50** | 1.00 | 2.00 | 50.0 | 100% |" in text


def test_a_peer_that_is_missing_is_one_clear_line() -> None:
    command = [sys.executable, "-m", "tests.bench"]
    done = subprocess.run(command, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not installed (Debian package" in done.stderr
