"""Tokens that programs present: ours are read, and no text whatever does more than be none of ours."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from control.auth.oidc.keys import signer
from control.auth.oidc.presented import LONGEST_HEADER, find_presented
from control.domain.decision import Refused, RefusedReason
from control.domain.security import SigningKey
from tests.support.attempts import THIEF, Door
from tests.support.stores import ADMIN

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made() -> SigningKey:
    return SigningKey(
        id=UUID(int=1), private_key=ECKey.generate_key("P-256").as_pem(private=True).decode(), created=NOW
    )


KEY = made()
KID = signer(KEY).kid
OURS = {"alg": "ES256", "typ": "JWT", "kid": KID}
CLAIMS = {
    "iss": "https://garrison.example.com/application/o/wiki/",
    "aud": "wiki",
    "sub": str(UUID(int=2)),
    "sid": str(UUID(int=3)),
    "iat": 1_700_000_000,
    "exp": 1_700_000_600,
}
TOKEN = jwt.encode(dict(OURS), dict(CLAIMS), signer(KEY), ["ES256"])


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def with_header(header: object) -> str:
    """Any header, with a signature that is right for it: the header alone decides."""
    plain = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{encoded(plain)}.{TOKEN.split('.')[1]}"
    private: Any = signer(KEY).private_key
    one, other = decode_dss_signature(private.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{encoded(one.to_bytes(32, 'big') + other.to_bytes(32, 'big'))}"


def test_a_token_of_ours_is_read_whichever_of_the_keys_signed_it() -> None:
    for keys in ([KEY], [made(), KEY], [KEY, made()]):
        found = find_presented(TOKEN, keys)
        assert found is not None
        assert (found.audience, found.subject, found.session) == ("wiki", UUID(int=2), UUID(int=3))
    assert find_presented(TOKEN, [made()]) is None
    assert find_presented(TOKEN, []) is None
    assert find_presented(with_header(OURS), [KEY]) is not None, "what the refusals below differ from"


ODD: dict[str, list[object]] = {
    "alg": [5, None, [], {}, "none", "HS256", "es256", ["ES256"]],
    "typ": [5, None, [], {}, "jwt", "at+jwt", ""],
    "kid": [5, None, [], {}, "", "another", "\ud800", [KID]],
}
HEADERS: list[object] = [
    [],
    5,
    "x",
    None,
    {},
    {"alg": "ES256", "crit": 5},
    {**OURS, "crit": 5},
    {**OURS, "crit": [[]]},
    {**OURS, "crit": [{}]},
    {**OURS, "crit": ["exp"]},
    {**OURS, "crit": []},
    {**OURS, "crit": ["b64"], "b64": False},
    {**OURS, "b64": False},
    {**OURS, "jwk": {"kty": "oct"}},
    {**OURS, "x5c": 5},
    {**OURS, "cty": "JWT"},
    {"alg": "ES256", "kid": KID},
    {"alg": "ES256", "typ": "JWT"},
    *({**OURS, name: value} for name, values in ODD.items() for value in values),
    b"",
    b"\xff\xfe",
    b"NaN",
    b"1e999",
    b"1" * 5_000,
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b'{"alg":"ES256","x":' + b"[" * 400 + b"]" * 400 + b"}",
    json.dumps({**OURS, "x": "x" * LONGEST_HEADER}).encode(),
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_only_the_header_that_we_write_is_one(header: object) -> None:
    assert find_presented(with_header(header), [KEY]) is None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_is_not_in_the_alphabet_is_no_part_of_a_token(part: int) -> None:
    for odd in ("=", "+", "\n", " ", "\u00e9", "==="):
        parts = TOKEN.split(".")
        parts[part] += odd
        assert find_presented(".".join(parts), [KEY]) is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ES256", "JWT", "b64", KID]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "x5u", "cty", "zip", "enc", "p2c"])
_headers = st.dictionaries(_names, _json).map(lambda changed: {**OURS, **changed}) | _json
_parts = (
    st.text()
    | st.binary().map(encoded)
    | _json.map(lambda some: encoded(json.dumps(some).encode()))
    | _headers.map(lambda some: encoded(json.dumps(some).encode()))
)


@given(st.lists(_parts, min_size=1, max_size=5).map(".".join) | st.text())
@example("eyJhbGciOiJFUzI1NiIsImNyaXQiOjV9.e30.")
@example("..")
@example("." * 1_000)
def test_no_text_does_more_than_be_no_token(text: str) -> None:
    assert find_presented(text, [KEY]) is None


@given(_headers)
def test_no_header_that_was_signed_does_more_than_ours(header: object) -> None:
    assert (find_presented(with_header(header), [KEY]) is not None) == (header == OURS)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_letter_that_is_changed_makes_it_no_token(place: int, letter: str) -> None:
    changed = TOKEN[:place] + letter + TOKEN[place + 1 :]
    found = find_presented(changed, [KEY])
    # The last letter of the signature holds bits that say nothing.
    assert found is None or changed[:-1] == TOKEN[:-1]


def test_a_token_that_nobody_can_read_counts_at_its_address(door: Door) -> None:
    with door.world.store.write(ADMIN) as unit:
        unit.signing_keys.add(KEY)
    answers = [door.token("eyJhbGciOiJFUzI1NiIsImNyaXQiOjV9.e30.", THIEF) for _ in range(21)]
    assert answers[:20] == [Refused(reason=RefusedReason.INVALID_CREDENTIALS)] * 20
    assert isinstance(answers[20], Refused)
    assert answers[20].reason is RefusedReason.LOCKED_OUT
    (address,) = door.failures(f"address/{THIEF}").values()
    assert address.count == 20
