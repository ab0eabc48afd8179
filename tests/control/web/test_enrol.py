"""POST /-/enrol through the whole app: machines only, bounded, and never a word too much."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from control.store import Store
from control.web import enrol
from control.web.enrol.limiter import FailureLimiter, Limits
from tests.support.fleet import deploy
from tests.support.links import Applicant
from tests.support.stores import Clock
from tests.support.web import make_app


@pytest.fixture
def app(store: Store, clock: Clock) -> Flask:
    app = make_app(store, clock, link_addresses=("link.example.com:9444", ":9444"))
    if "enrol" not in app.blueprints:
        enrol.register(app)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def applicant(store: Store, clock: Clock) -> Applicant:
    return Applicant(deploy(store).token.secret, clock=clock.now.timestamp())


def test_an_outpost_enrols_without_cookie_or_csrf_token(client: FlaskClient, applicant: Applicant) -> None:
    message = applicant.message()
    answer = client.post("/-/enrol", data=message.body, headers={"X-Garrison-Mac": message.mac})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json is not None
    assert answer.json["link"] == ["link.example.com:9444", ":9444"]
    assert len(answer.headers["X-Garrison-Mac"]) == 64
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_refusal_is_json_without_mac(client: FlaskClient, applicant: Applicant) -> None:
    answer = client.post("/-/enrol", data=applicant.body())
    assert (answer.status_code, answer.json) == (401, {"error": "bad_mac"})
    assert "X-Garrison-Mac" not in answer.headers


def test_a_body_that_is_too_large(client: FlaskClient) -> None:
    answer = client.post("/-/enrol", data=b"x" * (16 * 1024 + 1))
    expected = {"error": "bad_request", "detail": "the body: expected at most 16384 bytes"}
    assert (answer.status_code, answer.json) == (413, expected)


def test_only_post(client: FlaskClient) -> None:
    assert client.get("/-/enrol").status_code == 405


def test_a_source_that_fails_too_often_has_to_wait(client: FlaskClient, applicant: Applicant) -> None:
    statuses = [client.post("/-/enrol", data=b"{}").status_code for _ in range(31)]
    assert statuses == [400] * 30 + [429]
    message = applicant.message()
    answer = client.post("/-/enrol", data=message.body, headers={"X-Garrison-Mac": message.mac})
    assert (answer.status_code, answer.json) == (429, {"error": "rate_limited"})
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    # X-Forwarded-For as the front door sets it: another source is another matter.
    headers = {"X-Garrison-Mac": message.mac, "X-Forwarded-For": "198.51.100.9"}
    assert client.post("/-/enrol", data=message.body, headers=headers).status_code == 200


def test_a_source_of_many_addresses_floods_no_audit_trail(
    client: FlaskClient, applicant: Applicant, store: Store
) -> None:
    body = applicant.body()
    for number in range(150):
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        assert client.post("/-/enrol", data=body, headers=headers).status_code == 401
    with store.read() as unit:
        refused = [event for event in unit.audit.all() if event.action == "enrolment refused"]
    assert len(refused) == 120
    message = applicant.message()
    answer = client.post("/-/enrol", data=message.body, headers={"X-Garrison-Mac": message.mac})
    assert answer.status_code == 200


@pytest.mark.parametrize("error", [OperationalError("SELECT hunter2", {}, Exception("hunter2")), KeyError("hunter2")])
def test_what_fails_inside_stays_inside(
    app: Flask, applicant: Applicant, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("control.web.enrol.views.enrol", fail)
    answer = app.test_client().post("/-/enrol", data=applicant.body())
    assert (answer.status_code, answer.json) == (503, {"error": "unavailable"})
    assert int(answer.headers["Retry-After"]) > 0


def test_the_limiter_forgets_with_time_and_makes_room() -> None:
    now = [0.0]
    limiter = FailureLimiter(lambda: now[0], Limits(failures=2, seconds=10, addresses=2))
    for address in ("a", "a", "b"):
        limiter.note(address)
    assert (limiter.wait("a"), limiter.wait("b")) == (10, 0)
    now[0] = 4
    assert limiter.wait("a") == 6
    now[0] = 10
    assert limiter.wait("a") == 0
    for address in ("c", "c", "d"):
        limiter.note(address)
    limiter.note("e")
    assert limiter.wait("c") == 0


def test_the_log_names_the_refusal_and_no_secret(
    client: FlaskClient, applicant: Applicant, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/-/enrol", data=applicant.body())
    (record,) = [record for record in caplog.records if record.name == "control.web.enrol"]
    assert record.__dict__["code"] == "bad_mac"
    assert applicant.secret not in json.dumps([str(record.__dict__) for record in caplog.records])
