"""The parser of enrolment bodies: a whole request, or BadRequest that names the field."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from control.fleet.enrolment_request import BadRequest, EnrolmentRequest, parse_request
from tests.support.links import Applicant, signing_request

GOOD: dict[str, Any] = json.loads(Applicant("s" * 43, uid="edge-1", clock=1.5).body())


def parse(**fields: Any) -> EnrolmentRequest:
    return parse_request(json.dumps({**GOOD, **fields}).encode())


def test_a_good_body() -> None:
    applicant = Applicant("s" * 43, uid="edge-1", clock=1.5)
    request = parse_request(applicant.body())
    assert (request.instance, request.type, request.clock, request.version) == ("edge-1", "proxy", 1.5, "0.1.0")
    assert (request.nonce, request.key) == (applicant.nonce, applicant.key.public_key())


def test_fields_of_a_newer_outpost_do_no_harm() -> None:
    assert parse(colour="green") == parse()


@pytest.mark.parametrize("unpadded", [True, False])
def test_base64url_with_and_without_padding(*, unpadded: bool) -> None:
    text = urlsafe_b64encode(b"\xfb\xff" * 16).decode()
    assert parse(nonce=text.rstrip("=") if unpadded else text)


BAD: list[tuple[str, list[object]]] = [
    ("token_id", ["", "x" * 64, "A" * 64, "a" * 63, "a" * 65, None, 5, ["a" * 64], "a" * 63 + "\n"]),
    ("instance", ["", ".hidden", "a/b", "../x", "a" * 65, "a\n", "ä", None, True, {"a": 1}]),
    ("type", ["", "Proxy", "1", "x" * 40, None]),
    ("version", [None, 1, "x" * 81, "a\nb", "\u202e"]),
    ("nonce", ["", "AAAA", "A" * 42, "A" * 44, "+" * 43, "=", "A" * 43 + "===", None, "ä"]),
    ("clock", ["1", None, True, 1e300, -1e300, 10**400, [1], {}]),
    ("csr", ["", "x", None, 5, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]),
    ("csr", ["A" * 9000, "ä", "\ud800"]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD for value in values])
def test_a_bad_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BadRequest, match=f"^{field}: "):
        parse(**{field: value})


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_named(field: str) -> None:
    body = json.dumps({name: value for name, value in GOOD.items() if name != field}).encode()
    with pytest.raises(BadRequest, match=f"^{field}: "):
        parse_request(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b"{",
        b"\xff\xfe",
        b"[" * 16_000,
        b'{"clock": NaN}',
        b'{"clock": ' + b"9" * 10_000 + b"}",
    ],
)
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^the body: "):
        parse_request(body)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_clock_that_is_no_time(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_request(json.dumps({**GOOD, "clock": 0}).replace('"clock": 0', f'"clock": {text}').encode())


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA 2048"],
)
def test_keys_that_are_accepted(key: Any) -> None:
    assert parse(csr=signing_request(key))


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024), dsa.generate_private_key(1024)],
    ids=["another curve", "RSA 1024", "DSA"],
)
def test_keys_that_are_not(key: Any) -> None:
    with pytest.raises(BadRequest, match="csr: its key"):
        parse(csr=signing_request(key))


def test_a_request_signed_by_another_key() -> None:
    pem = signing_request(ec.generate_private_key(ec.SECP256R1()))
    lines = pem.splitlines()
    # The signature stands at the end; another one of the same length doesn't fit the key.
    lines[-2] = lines[-2][:4] + ("A" if lines[-2][4] != "A" else "B") + lines[-2][5:]
    with pytest.raises(BadRequest, match="csr: "):
        parse(csr="\n".join(lines))


def test_ed25519_is_accepted() -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(ed25519.Ed25519PrivateKey.generate(), None)
    assert parse(csr=signed.public_bytes(Encoding.PEM).decode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(body)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_wild_fields_are_refused_or_read(fields: dict[str, Any]) -> None:
    error = ""
    try:
        parse_request(json.dumps({**GOOD, **fields}).encode())
    except BadRequest as refused:
        error = str(refused)
    assert error.partition(":")[0] in {*GOOD, "the body", ""}
