"""Why an engine did not do what was asked, in our own errors: the one place that knows what HTTP, TLS and SSH raise."""

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import requests
import urllib3.exceptions

from control.integrations.model import TargetAway

# Proxies in front of engines answer one of these, or what no engine would say.
_REFUSALS = frozenset({401, 403, 405})
_WORDS = 400


class NotAllowed(TargetAway):
    """A call is refused to us, by a proxy in front of the engine or by the engine itself."""

    def __init__(self, call: str, detail: str) -> None:
        super().__init__("not_allowed", f"{call}: {detail}")
        self.call = call


class Refused(Exception):
    """The engine answers, and can't do it: its status of HTTP and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words


class Missing(Refused):
    """There is no such container, image or network (404)."""


class Taken(Refused):
    """Something is in the way, such as another container of that name, or that it doesn't run (409)."""


def is_forbidden(response: requests.Response) -> bool:
    """Whether an answer says so by its status alone."""
    return response.status_code in _REFUSALS


def is_refusal(response: requests.Response) -> bool:
    """Whether an answer says that we may not ask this."""
    if is_forbidden(response):
        return True
    is_ours = HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_ours and not _is_engine(response)


def refusal(call: str, error: requests.HTTPError) -> TargetAway | Refused:
    """What an answer of HTTP that isn't a good one means."""
    response: requests.Response = error.response
    words = words_of(response)
    if is_refusal(response):
        return NotAllowed(call, words)
    if not _is_engine(response):
        return TargetAway("engine_away", f"{call}: HTTP {response.status_code} {words}")
    kinds: dict[int, type[Refused]] = {404: Missing, 409: Taken}
    return kinds.get(response.status_code, Refused)(response.status_code, words)


def late(call: str, within: float) -> TargetAway:
    """What it means that a call took longer than `within` seconds."""
    return TargetAway("engine_away", f"{call}: no answer within {within:g} s")


def away(call: str, error: BaseException, within: float) -> TargetAway:
    """What an error of a connection means, of which each wait was for `within` seconds at most."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, TargetAway):
            return cause
        if isinstance(cause, ssl.SSLError):
            return TargetAway("tls_refused", short(getattr(cause, "verify_message", "") or str(cause)))
    if any(isinstance(cause, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) for cause in causes):
        return late(call, within)
    return TargetAway("engine_away", f"{call}: {short(_words(causes))}")


def words_of(response: requests.Response) -> str:
    """What an answer says, shortened."""
    message = _message(response)
    return short(message if message is not None else response.text)


def short(text: str) -> str:
    """Foreign words as one line of printable characters, not too many."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:_WORDS]


def _is_engine(response: requests.Response) -> bool:
    return "Api-Version" in response.headers or _message(response) is not None


def _message(response: requests.Response) -> str | None:
    try:
        found: Any = response.json()
    except ValueError:
        return None
    return str(found["message"]) if isinstance(found, dict) and "message" in found else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]


def _words(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.strerror}: {cause.filename}" if cause.filename else cause.strerror
    return str(causes[-1]) or type(causes[-1]).__name__
