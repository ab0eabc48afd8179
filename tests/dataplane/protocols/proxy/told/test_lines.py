"""The lines of both logs: JSON, ASCII, short, and nothing that a client sends is more than text in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.io.pen import MOST as MOST_WRITTEN
from dataplane.protocols.proxy.told.lines import (
    MOST,
    AccessLine,
    LostLine,
    Stamp,
    encode,
    milliseconds,
    referer_host,
    text,
)

TEXTS = (
    "request_id", "client", "method", "scheme", "host", "path", "protocol", "upstream", "user", "provider", "decision",
    "user_agent", "referer", "failure", "detail", "trace_id",
)  # fmt: skip


def access(**texts: str) -> AccessLine:
    base = dict.fromkeys(TEXTS, "") | {"timestamp": "2026-11-22T18:15:25.123+00:00"} | texts
    return AccessLine(
        **base, worker=3, status=200, bytes_in=1, bytes_out=2, duration_ms=1.5, upstream_ms=None, upgraded=False
    )


def test_a_line_is_one_object_with_all_that_there_is_to_say() -> None:
    line = encode(access(path="/wiki", user="alice"))
    assert line.endswith(b"}\n")
    told = json.loads(line)
    assert list(told)[:3] == ["timestamp", "log", "worker"]
    assert told["log"] == "access"
    assert told["path"] == "/wiki"
    assert told["upstream_ms"] is None
    assert set(TEXTS) < set(told)


def test_what_is_missing_has_a_line_too() -> None:
    line = LostLine(timestamp="2026-11-22T18:15:25.123+00:00", worker=0, lines=7)
    assert encode(line) == b'{"timestamp":"2026-11-22T18:15:25.123+00:00","log":"lost","worker":0,"lines":7}\n'


@pytest.mark.parametrize(
    "hostile",
    ['"}\n{"log":"access"', "\r\n", "\x00", "\x1b[2J", "\u2028\u2029", "\x85", "\x9b31m", "\ud800", "\\", "é", "😀"],
)
def test_hostile_values_stay_text(hostile: str) -> None:
    line = encode(access(user_agent=hostile, path=f"/{hostile}"))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert not any(byte < 0x20 for byte in line[:-1])
    assert json.loads(line)["user_agent"] == hostile


@given(st.dictionaries(st.sampled_from(TEXTS), st.text(max_size=9000)))
def test_every_line_is_short_ascii_and_json(texts: dict[str, str]) -> None:
    line = encode(access(**texts))
    assert len(line) <= MOST
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = json.loads(line)
    for name, value in texts.items():
        assert told[name] == value or told[name].endswith("…")
        assert value.startswith(told[name].removesuffix("…"))


def test_all_of_the_longest_still_fit() -> None:
    assert len(encode(access(**dict.fromkeys(TEXTS, "😀" * 9000)))) <= MOST


def test_what_is_long_is_cut_where_it_is_long() -> None:
    told = json.loads(encode(access(path="/" + "a" * 5000, user="alice")))
    assert told["path"] == "/" + "a" * 1023 + "…"
    assert told["user"] == "alice"


def test_the_writer_takes_them() -> None:
    assert MOST <= MOST_WRITTEN


@given(st.binary())
def test_bytes_become_text_whatever_they_are(value: bytes) -> None:
    assert json.loads(json.dumps(text(value))) == text(value)


def test_utf8_is_read_and_the_rest_spelt_out() -> None:
    assert text("é".encode()) == "é"
    assert text(b"\xff/") == "\\xff/"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"https://wiki.example.com/secret?token=1", "wiki.example.com"),
        (b"http://wiki.example.com:8080", "wiki.example.com:8080"),
        (b"https://[::1]:9000/", "[::1]:9000"),
        (b"https://alice:hunter2@wiki.example.com/", "wiki.example.com"),
        (b"https://wiki.example.com?token=1", "wiki.example.com"),
        (b"https://wiki.example.com#token", ""),
        (b"android-app://com.example/", ""),
        (b"/path?token=1", ""),
        (b"", ""),
        (b"https://", ""),
        (b"https://\xff/", ""),
        (b'https://"}/', ""),
        (b"https://" + b"a" * 300, ""),
    ],
)
def test_of_a_referer_the_host_alone(sent: bytes, told: str) -> None:
    assert referer_host(sent) == told


@given(st.binary())
def test_a_referer_is_a_host_or_nothing(sent: bytes) -> None:
    assert len(referer_host(b"https://" + sent)) <= 255


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (0.0, "1970-01-01T00:00:00.000+00:00"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250+00:00"),
        (1_800_000_000.9999, "2027-01-15T08:00:00.999+00:00"),
    ],
)
def test_times(when: float, told: str) -> None:
    assert Stamp().at(when) == told


def test_the_same_second_twice() -> None:
    stamp = Stamp()
    assert [stamp.at(10.5), stamp.at(10.75), stamp.at(11.0)] == [
        "1970-01-01T00:00:10.500+00:00", "1970-01-01T00:00:10.750+00:00", "1970-01-01T00:00:11.000+00:00",
    ]  # fmt: skip


@given(st.floats(0, 1e6))
def test_milliseconds_to_the_microsecond(seconds: float) -> None:
    told = milliseconds(seconds)
    assert abs(told - seconds * 1000) <= 0.00051
    assert round(told, 3) == told
