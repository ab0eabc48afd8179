"""Sealed cookies: AES-256-GCM under a key of the provider, bound to the provider and to what they are for.

What doesn't open (malformed, tampered with, foreign, of a key long gone) is as if absent: no error and no access.
A session that doesn't fit into its cookies is reduced to its bounds, and the rest is fetched from control.
"""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataplane.config import SessionKey
from dataplane.gate import BasicCredentials, Identity, ProxySession, SessionReference

MAX_PARTS = 3
MAX_PART = 3600
"""Browsers take 4096 bytes of name, value and attributes."""
MAX_SESSION = 8000
"""All parts together: what common servers take of headers leaves no more."""
MAX_TOKENS = 4
"""Cookies of one name that are looked at."""

_UNPROVEN = 4
"""Bounds as they were before there were proofs."""
_NONCE = 12
_TAG = 16
_MAX_PLAIN = 256 * 1024


class Sealer:
    """Seals and opens for one provider; the first key seals, all open."""

    def __init__(self, provider: str, keys: Sequence[SessionKey], random: Callable[[int], bytes]) -> None:
        self._provider = provider
        self._random = random
        self._ciphers = {_key_name(key): AESGCM(key.secret) for key in keys}
        self._newest = _key_name(keys[0])

    def seal(self, purpose: str, content: object) -> bytes:
        """`content` (JSON) as cookie-safe text that only `open` with the same purpose understands."""
        plain = zlib.compress(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), 6)
        nonce = self._random(_NONCE)
        sealed = self._ciphers[self._newest].encrypt(nonce, plain, self._bound_to(purpose))
        return self._newest + b"." + _encode(nonce + sealed)

    def find(self, purpose: str, token: bytes) -> Any | None:  # noqa: ANN401  # JSON, matched by the caller
        """What was sealed; None for anything else."""
        name, _, text = token.partition(b".")
        cipher = self._ciphers.get(name)
        if cipher is None:
            return None
        try:
            raw = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
            if len(raw) < _NONCE + _TAG or _encode(raw) != text:  # one spelling only: what is cached has one key
                return None
            plain = cipher.decrypt(raw[:_NONCE], raw[_NONCE:], self._bound_to(purpose))
            return json.loads(zlib.decompressobj().decompress(plain, _MAX_PLAIN))
        except (binascii.Error, InvalidTag, zlib.error, ValueError, RecursionError):
            return None

    def _bound_to(self, purpose: str) -> bytes:
        return f"garrison proxy cookie\0{self._provider}\0{purpose}".encode()


def cookie_name(client_id: str) -> bytes:
    """The session cookie's name, as authentik has it."""
    return b"authentik_proxy_" + hashlib.sha256(client_id.encode()).hexdigest()[:8].encode()


def find_values(header: bytes, name: bytes) -> Iterator[bytes]:
    """Every value that a Cookie header holds under `name`, in its order."""
    wanted = name + b"="
    start = header.find(wanted)
    while start >= 0:
        if start == 0 or header[start - 1 : start] in {b" ", b";"}:
            end = header.find(b";", start)
            yield header[start + len(wanted) : end if end >= 0 else len(header)]
        start = header.find(wanted, start + 1)


def find_tokens(header: bytes, name: bytes) -> Iterator[bytes]:
    """The session tokens of a Cookie header, each with its parts joined, in its order; no more than MAX_TOKENS.

    There can be several: a cookie of the host and one of its domain have the same name, and neighbours can plant one.
    The first digit says how many parts there are. Of parts with one name, those of the first token come first.
    """
    if name not in header:
        return
    taken = [0] * MAX_PARTS
    for first in islice(find_values(header, name), MAX_TOKENS):
        if first[:2] == b"1.":
            yield first[2:]
        elif first[1:2] == b"." and b"2" <= first[:1] <= b"%d" % MAX_PARTS:
            rest = _rest(header, name, int(first[:1]), taken)
            if rest:
                yield first[2:] + rest


def _rest(header: bytes, name: bytes, count: int, taken: list[int]) -> bytes:
    """The further parts of a token of `count`; `taken` says how many of each number belong to tokens before it."""
    parts = []
    for number in range(1, count):
        parts.append(next(islice(find_values(header, name + b"_%d" % number), taken[number], None), b""))
        taken[number] += 1
    return b"".join(parts) if all(parts) else b""


def split_token(token: bytes) -> tuple[bytes, ...]:
    """The values of the cookies that hold `token`."""
    pieces = [token[start : start + MAX_PART] for start in range(0, len(token), MAX_PART)]
    return (b"%d.%s" % (len(pieces), pieces[0]), *pieces[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a cookie applies."""

    path: str
    domain: str
    secure: bool


def set_cookie(name: bytes, value: bytes, scope: Scope, max_age: int) -> tuple[bytes, bytes]:
    """A Set-Cookie header; `max_age` 0 removes the cookie."""
    attributes = f"; Path={scope.path}; Max-Age={max_age}; HttpOnly; SameSite=Lax"
    if scope.domain:
        attributes += f"; Domain={scope.domain}"
    if scope.secure:
        attributes += "; Secure"
    return b"Set-Cookie", name + b"=" + value + attributes.encode()


def seal_session(sealer: Sealer, session: ProxySession) -> bytes:
    """The session as a token that fits into MAX_PARTS cookies, reduced to its bounds if need be."""
    person = session.identity
    bounds = [session.id, person.subject, session.authenticated, session.expires]
    whole = [
        *bounds, person.username, person.name, person.email, person.groups, person.entitlements,
        person.additional_headers, session.id_token,
    ]  # fmt: skip
    if session.basic is not None:
        whole.append([session.basic.username, session.basic.password])
    if person.superuser or person.backend_override or person.host_header:
        later = {
            "superuser": person.superuser,
            "backend_override": person.backend_override,
            "host_header": person.host_header,
        }
        whole.append(later)
    token = sealer.seal("session", whole)
    return token if len(token) <= MAX_SESSION else sealer.seal("session", [*bounds, session.proof])


def find_session(sealer: Sealer, provider: str, token: bytes) -> ProxySession | SessionReference | None:
    """The session a token holds, or its bounds; None if it holds none."""
    content = sealer.find("session", token)
    if isinstance(content, list) and len(content) == _UNPROVEN:
        content.append("")
    match content:
        case [str(id_), str(subject), int() | float() as authenticated, int() | float() as expires, str(proof)]:
            return SessionReference(
                provider=provider,
                session=id_,
                subject=subject,
                authenticated=authenticated,
                expires=expires,
                proof=proof,
            )
        case [
            str(id_), str(subject), int() | float() as authenticated, int() | float() as expires, str(username),
            str(name), str(email), list(groups), list(entitlements), list(additional), str(id_token), *rest,
        ]:  # fmt: skip
            person = Identity(
                subject=subject,
                username=username,
                name=name,
                email=email,
                groups=tuple(groups),
                entitlements=tuple(entitlements),
                additional_headers=tuple((key, value) for key, value in additional),
            )
            return ProxySession(
                id=id_,
                identity=_with_rest(person, rest),
                authenticated=authenticated,
                expires=expires,
                id_token=id_token,
                basic=_find_basic(rest),
            )
    return None


def _find_basic(rest: list[object]) -> BasicCredentials | None:
    """What follows in sessions of people whose application is sent credentials."""
    match rest:
        case [[str(username), str(password)], *_]:
            return BasicCredentials(username=username, password=password)
    return None


def _with_rest(person: Identity, rest: list[object]) -> Identity:
    """What stands last in sessions of people of whom there is more to say; it came later than the rest."""
    match rest[-1:]:
        case [{"superuser": bool(superuser), "backend_override": str(backend), "host_header": str(host)}]:
            return replace(person, superuser=superuser, backend_override=backend, host_header=host)
    return person


def _encode(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _key_name(key: SessionKey) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(key.id.encode()).digest()[:6])
