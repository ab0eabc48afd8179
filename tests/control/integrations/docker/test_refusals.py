"""What answers of HTTP and errors of connections mean."""

import ssl

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from control.integrations.docker.hiding import hide, tokens_in
from control.integrations.docker.refusals import Missing, NotAllowed, Refused, Taken, away, is_refusal, refusal, short
from control.integrations.model import TargetAway

_ENGINE = {"Api-Version": "1.41"}


def _response(status: int, text: str, headers: dict[str, str] | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    response._content = text.encode()
    return response


@pytest.mark.parametrize(
    ("status", "text", "headers", "kind"),
    [
        (403, "<h1>Forbidden</h1>", {}, NotAllowed),
        (405, "", {}, NotAllowed),
        (404, "nothing here", {}, NotAllowed),
        (403, '{"message": "by a plugin"}', _ENGINE, NotAllowed),
        (404, '{"message": "No such container"}', {}, Missing),
        (404, "", _ENGINE, Missing),
        (409, '{"message": "in use"}', _ENGINE, Taken),
        (500, '{"message": "driver failed"}', _ENGINE, Refused),
        (400, '{"message": "bad"}', _ENGINE, Refused),
        (503, "<h1>No server</h1>", {}, TargetAway),
        (500, "[1]", {}, TargetAway),
    ],
)
def test_what_an_answer_means(status: int, text: str, headers: dict[str, str], kind: type[Exception]) -> None:
    response = _response(status, text, headers)

    found = refusal("GET /x", requests.HTTPError(response=response))

    assert type(found) is kind
    assert is_refusal(response) == (kind is NotAllowed)


def test_what_a_broken_connection_means() -> None:
    outer = requests.ConnectionError("outer")
    outer.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    assert away("GET /x", outer, 1).code == "tls_refused"
    assert away("GET /x", requests.ConnectionError(TimeoutError()), 1).detail == "GET /x: no answer within 1 s"
    refused = ConnectionRefusedError(111, "Connection refused", "/run/d.sock")
    assert away("GET /x", refused, 1).detail == "GET /x: Connection refused: /run/d.sock"


@given(st.text(max_size=2000))
def test_foreign_words_are_one_short_printable_line(text: str) -> None:
    line = short(text)

    assert len(line) <= 400
    assert line.isprintable()


def test_tokens_are_hidden() -> None:
    tokens = tokens_in({"Env": ["A=b", "AUTHENTIK_TOKEN=secret=1", "AUTHENTIK_TOKEN=", None]})

    assert tokens == {"secret=1"}
    assert hide("it said secret=1, secret=1", tokens) == "it said …, …"
