"""The app as a whole: headers, errors, request ids, logs, metrics, health."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, abort, request
from prometheus_client import CollectorRegistry, generate_latest

from control.domain.errors import InUse, NotFound
from control.store import SYSTEM, DatabaseBusy, DatabaseUnavailable, DatabaseUnwritable, Sealer, Store, open_engine
from control.web import WebSettings, create_app
from control.web.errors import Refused
from control.web.headers import allow_form_action
from tests.support.site import make_site
from tests.support.stores import Clock
from tests.support.web import make_app


@pytest.fixture
def app(store: Store, clock: Clock) -> Flask:
    app = make_app(store, clock)
    app.testing = False

    def fail(kind: str) -> str:
        match kind:
            case "refused":
                raise Refused(status=429, code="too_many_requests")
            case "missing":
                raise NotFound("outpost", "<b>edge</b>")
            case "used":
                raise InUse("group", "staff", "application 'wiki'")
            case "busy":
                raise DatabaseBusy("BEGIN", None, sqlite3.OperationalError("database is locked"))
            case "away":
                raise DatabaseUnavailable("SELECT 1", None, sqlite3.OperationalError("unable to open database file"))
            case "full":
                raise DatabaseUnwritable("COMMIT", None, sqlite3.OperationalError("database or disk is full"))
            case "bug":
                raise ZeroDivisionError("secret detail")
            case _:
                abort(int(kind))

    app.add_url_rule("/fail/<kind>", "fail", fail)

    def lead_away() -> str:
        allow_form_action("https://wiki.example.com/x?y")
        return "ok"

    app.add_url_rule("/leads-away", "away", lead_away)
    app.add_url_rule("/length", "length", lambda: str(len(request.get_data())), methods=["POST"])
    app.add_url_rule("/address", "address", lambda: f"{request.remote_addr} {request.url}")
    return app


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((str(status), status) for status in (400, 403, 404, 413, 429, 500, 503)),
        *(("busy", 503), ("away", 503), ("full", 503), ("refused", 429), ("missing", 404), ("used", 409), ("bug", 500)),
    ],
)
def test_an_error_page_has_words_and_the_request_id(app: Flask, kind: str, status: int) -> None:
    response = app.test_client().get(f"/fail/{kind}", headers={"X-Request-Id": "abcdef-123456"})
    assert response.status_code == status
    assert "<h1" in response.text
    assert "abcdef-123456" in response.text
    assert "secret detail" not in response.text
    assert "<b>edge" not in response.text


def test_a_busy_database_says_when_to_come_back(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = app.test_client().get("/fail/busy")
    assert response.headers["Retry-After"] == "5"
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(("kind", "reason"), [("away", "unable to open database file"), ("full", "disk is full")])
def test_a_database_that_is_away_is_no_bug_of_ours(
    app: Flask, caplog: pytest.LogCaptureFixture, kind: str, reason: str
) -> None:
    response = app.test_client().get(f"/fail/{kind}")
    assert response.headers["Retry-After"] == "30"
    assert ("disk of the database is full, read-only or failing" in response.text) == (kind == "full")
    assert not any(record.exc_info for record in caplog.records)
    assert [record for record in caplog.records if reason in getattr(record, "reason", "")]
    assert reason not in response.text


def test_requests_turned_away_by_a_busy_database_are_counted(store: Store, clock: Clock, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    app = create_app(WebSettings(url="http://localhost", secret_key=b"k"), store, clock, registry)

    @app.get("/write")
    def write() -> str:
        with store.write(SYSTEM) as unit:
            return str(unit.revision())

    with closing(sqlite3.connect(tmp_path / "garrison.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with patience(store, 0):
            assert app.test_client().get("/write").status_code == 503
        other.execute("ROLLBACK")
    assert app.test_client().get("/write").status_code == 200
    assert registry.get_sample_value("garrison_web_database_busy_total") == 1


def test_reading_goes_on_where_nothing_can_be_written(store: Store, clock: Clock, tmp_path: Path) -> None:
    """That a session was used just now is not worth an error."""
    admin = make_site(store, clock).admin
    clock.advance(minutes=2)
    with closing(sqlite3.connect(tmp_path / "garrison.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with patience(store, 0):
            assert admin.get("/admin/users/").status_code == 200
        other.execute("ROLLBACK")


@contextmanager
def patience(store: Store, milliseconds: int) -> Iterator[None]:
    """How long the store's connections wait for another writer; the usual ten seconds are too long for a test."""
    engine = store._engine

    def shorten(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={milliseconds}")

    engine.dispose()
    sa.event.listen(engine, "connect", shorten)
    yield
    sa.event.remove(engine, "connect", shorten)
    engine.dispose()


def test_every_answer_is_guarded(app: Flask) -> None:
    for path in ("/-/health/live/", "/fail/404", "/fail/bug", "/nowhere"):
        headers = app.test_client().get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in headers
        assert "Cross-Origin-Opener-Policy" not in headers, "browsers complain of it on each page over plain HTTP"


def test_https_means_secure_cookies_and_hsts(store: Store, clock: Clock) -> None:
    app = make_app(store, clock, url="https://garrison.example.com")
    headers = app.test_client().get("/-/health/live/").headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert app.config["SESSION_COOKIE_SECURE"] is True


def test_a_form_may_lead_to_one_more_origin(app: Flask) -> None:
    policy = app.test_client().get("/leads-away").headers["Content-Security-Policy"]
    assert policy.endswith("form-action 'self' https://wiki.example.com")


def test_a_request_id_is_kept_when_sane_and_made_otherwise(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/-/health/live/", headers={"X-Request-Id": "front-door-1"}).headers["X-Request-Id"] == (
        "front-door-1"
    )
    for bad in ("short", "x" * 65, "with space in", '<script>"'):
        made = client.get("/-/health/live/", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert made != bad
        assert len(made) == 32


def test_the_access_log_names_the_request_without_its_query(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "control.web.access"):
        app.test_client().get("/nowhere?code=secret", headers={"X-Forwarded-For": "203.0.113.9"})
    (record,) = [record for record in caplog.records if record.name == "control.web.access"]
    assert (record.__dict__["path"], record.__dict__["status"]) == ("/nowhere", 404)
    assert record.__dict__["address"] == "203.0.113.9"
    assert "secret" not in repr(record.__dict__)


def test_forwarded_headers_are_believed(app: Flask) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "g.example.com"}
    assert app.test_client().get("/address", headers=headers).text == "203.0.113.9 https://g.example.com/address"


def test_metrics_count_by_endpoint_and_status(store: Store, clock: Clock) -> None:
    registry = CollectorRegistry()
    app = create_app(WebSettings(url="http://localhost", secret_key=b"k"), store, clock, registry)
    app.test_client().get("/-/health/live/")
    app.test_client().open("/nowhere", method="BREW")
    text = generate_latest(registry).decode()
    assert 'garrison_web_requests_total{endpoint="health.live",method="GET",status="204"} 1.0' in text
    assert 'garrison_web_requests_total{endpoint="none",method="other",status="404"} 1.0' in text
    assert 'garrison_web_request_duration_seconds_count{endpoint="health.live"} 1.0' in text


def test_a_body_has_a_limit(store: Store, clock: Clock) -> None:
    app = make_app(store, clock, max_body=100)
    app.testing = False
    app.add_url_rule("/length", "length", lambda: str(len(request.get_data())), methods=["POST"])
    assert app.test_client().post("/length", data={"x": "y" * 200}).status_code == 413


def test_a_post_without_a_token_is_refused(app: Flask) -> None:
    response = app.test_client().post("/length", data={"x": "1"})
    assert response.status_code == 400
    assert "too old" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://wiki.localhost"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://wiki.localhost"},
    ],
)
def test_a_post_from_another_origin_is_refused(app: Flask, headers: dict[str, str]) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # a neighbour may have planted a cookie with a token that fits
    assert app.test_client().post("/length", data={"x": "1"}, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}],
)
def test_our_own_forms_and_programs_are_heard(app: Flask, headers: dict[str, str]) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    assert app.test_client().post("/length", data={"x": "1"}, headers=headers).status_code == 200


def test_neighbours_cannot_plant_cookies_over_https(store: Store, clock: Clock) -> None:
    secure = make_app(store, clock, url="https://auth.example.com")
    answer = secure.test_client().get("/sign-in", base_url="https://auth.example.com")
    assert answer.headers["Set-Cookie"].startswith("__Host-garrison_forms=")


@pytest.mark.parametrize("path", ["/admin", "/admin/users"])
def test_a_missing_slash_is_mended_on_the_host_that_was_asked(app: Flask, path: str) -> None:
    answer = app.test_client().get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("/admin")


def test_the_api_answers_json(app: Flask) -> None:
    response = app.test_client().get("/api/v1/outposts/")
    assert (response.status_code, response.mimetype) == (404, "application/json")
    assert response.json is not None
    assert response.json["error"] == "not_found"
    assert app.test_client().get("/nowhere", headers={"Accept": "application/json"}).mimetype == "application/json"


def test_health(app: Flask, tmp_path: Path, clock: Clock) -> None:
    client = app.test_client()
    assert client.get("/-/health/live/").status_code == 204
    assert client.get("/-/health/ready/").status_code == 204
    empty = Store(open_engine(f"sqlite:///{tmp_path / 'empty.db'}"), Sealer(b"k" * 32), clock, lambda: None)
    unready = make_app(empty, clock).test_client()
    assert unready.get("/-/health/live/").status_code == 204
    assert unready.get("/-/health/ready/").status_code == 503


def test_readiness_ends_with_the_table(app: Flask, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "garrison.db", isolation_level=None)) as other:
        other.execute("DROP TABLE revision")
    assert app.test_client().get("/-/health/ready/").status_code == 503


def test_static_files_with_hashed_names_are_kept(app: Flask) -> None:
    manifest = app.extensions["garrison"].assets.names
    assert manifest, "no web assets: run make web"
    with app.test_client().get(f"/static/dist/{manifest['app.css']}") as response:
        assert "immutable" in response.headers["Cache-Control"]
    with app.test_client().get("/static/dist/manifest.json") as response:
        assert response.headers["Cache-Control"] == "no-cache"
    with app.test_client().get("/static/dist/gone.css") as response:
        assert "immutable" not in response.headers.get("Cache-Control", "")


def test_the_brand_has_a_style_sheet_of_its_own(app: Flask) -> None:
    brand = app.extensions["garrison"].brand
    response = app.test_client().get(f"/-/brand/{brand.digest()}.css")
    assert (response.status_code, response.mimetype) == (200, "text/css")
    assert f"--tblr-primary:{brand.light.hex}" in response.text
    assert app.test_client().get("/-/brand/0123.css").status_code == 404
