"""Filters as texts, places as texts, events as JSON lines."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.audit import (
    TEXTS,
    TIMES,
    AuditFilter,
    Place,
    as_json,
    find_place,
    read_filter,
    rfc3339,
    words_of,
)
from control.domain.errors import Invalid
from control.domain.security import AuditEvent

AT = datetime(2026, 11, 22, 12, 0, 0, 123, tzinfo=UTC)
ID = UUID(int=1)
MOMENTS = st.integers(0, 10**9).map(lambda milliseconds: AT + timedelta(milliseconds=milliseconds))


def event(**texts: str) -> AuditEvent:
    said = {"actor": "alice", "action": "updated", "kind": "group", "target": "g", "name": "red", **texts}
    return AuditEvent(id=UUID(int=7), at=AT, recorded=AT, fields=("name", "parents"), **said)  # type: ignore[arg-type] # texts


def test_the_schema_is_as_documented() -> None:
    assert json.loads(as_json(event(address="192.0.2.7", reason="because", request_id="r1", outpost="edge"))) == {
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2026-11-22T12:00:00.000123Z",
        "recorded": "2026-11-22T12:00:00.000123Z",
        "actor": "alice",
        "action": "updated",
        "kind": "group",
        "target": "g",
        "name": "red",
        "fields": ["name", "parents"],
        "address": "192.0.2.7",
        "outcome": "success",
        "reason": "because",
        "request_id": "r1",
        "outpost": "edge",
        "count": 1,
    }


@given(st.text(), st.text(alphabet='"\\\n\r\x1b\u2028\u202e,=;\x00'))
def test_nothing_in_a_name_breaks_its_line_or_acts_on_a_terminal(name: str, reason: str) -> None:
    line = as_json(event(name=name, reason=reason))
    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert (read["name"], read["reason"]) == (name, reason)


def test_every_field_of_an_event_is_told() -> None:
    assert list(json.loads(as_json(event()))) == [field.name for field in fields(AuditEvent)]


@given(MOMENTS, st.uuids())
def test_a_place_is_itself_again(at: datetime, key: UUID) -> None:
    place = Place(at=at, id=key)
    assert find_place(str(place)) == place


@given(st.text())
def test_a_place_is_a_place_or_none(text: str) -> None:
    found = find_place(text)
    assert found is None or find_place(str(found)) == found


@pytest.mark.parametrize("text", ["", "_", "2026-11-22_x", f"_{ID}", f"0001-01-01T00:00:00+23:59_{ID}"])
def test_what_is_no_place(text: str) -> None:
    assert find_place(text) is None


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-11-22", "2026-11-22T00:00:00.000000Z", "2026-11-23T00:00:00.000000Z"),
        ("2026-11-22T14:30", "2026-11-22T14:30:00.000000Z", "2026-11-22T14:30:00.000000Z"),
        (" 2026-11-22T14:30:01.5+02:00 ", "2026-11-22T12:30:01.500000Z", "2026-11-22T12:30:01.500000Z"),
    ],
)
def test_times(text: str, since: str, until: str) -> None:
    read = read_filter({"from": text, "to": text})
    assert (rfc3339(read.since or AT), rfc3339(read.until or AT)) == (since, until)


def test_what_is_wrong_is_told_all_at_once() -> None:
    with pytest.raises(Invalid) as error:
        read_filter({"from": "yesterday", "to": "9999-12-31", "actor": "x" * 501})
    assert [(each.field, each.code) for each in error.value.problems] == [
        ("from", "not_a_time"),
        ("to", "not_a_time"),
        ("actor", "too_long"),
    ]


@given(st.dictionaries(st.sampled_from([*TEXTS, *TIMES]), st.text()))
def test_any_texts_are_a_filter_or_are_refused(texts: dict[str, str]) -> None:
    try:
        read = read_filter(texts)
    except Invalid:
        return
    assert read_filter(words_of(read)) == read


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=9, max_size=9), MOMENTS, MOMENTS)
def test_a_filter_is_itself_again(texts: list[str], since: datetime, until: datetime) -> None:
    wanted = AuditFilter(**dict(zip(TEXTS, texts, strict=True)), since=since, until=until)
    assert read_filter(words_of(wanted)) == wanted
    assert not wanted.is_empty
    assert AuditFilter().is_empty
    assert read_filter({}) == AuditFilter()


def test_days_end() -> None:
    read = read_filter({"from": "2026-11-22", "to": "2026-11-22"})
    assert read.since is not None
    assert read.until == read.since + timedelta(days=1)
