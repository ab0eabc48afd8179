"""An application for gunicorn: it answers with what it received, gives and takes bodies of any size, and misbehaves.

`/zeros/N` is N bytes of known length, `/chunks/N` N lines of unknown length, `/sink` counts what it is sent and says
whether it was all zeros, `/answer?status=&location=&cookie=` is what it is asked for; everything else is an echo. All
of it is below `/base` too.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

BLOCK = 256 * 1024
_ZEROS = bytes(BLOCK)
Environment = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]


def application(environment: Environment, start: Start) -> Iterable[bytes]:
    """The WSGI entry."""
    _, kind, *rest = (environment["PATH_INFO"].removeprefix("/base") + "/").split("/")
    match kind:
        case "zeros":
            return _zeros(int(rest[0]), start)
        case "chunks":
            start("200 OK", [("Content-Type", "text/plain")])
            return (b"line %d\n" % number for number in range(int(rest[0])))
        case "sink":
            return _json(start, _sink(environment))
        case "answer":
            return _answer(parse_qsl(environment["QUERY_STRING"]), start)
        case _:
            return _json(start, _echo(environment))


def _json(start: Start, value: dict[str, object]) -> Iterable[bytes]:
    body = json.dumps(value).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _zeros(size: int, start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    return (_ZEROS[: min(BLOCK, size - sent)] for sent in range(0, size, BLOCK))


def _pieces(environment: Environment) -> Iterator[bytes]:
    while piece := environment["wsgi.input"].read(BLOCK):
        yield piece


def _sink(environment: Environment) -> dict[str, object]:
    size, zeros = 0, True
    for piece in _pieces(environment):
        size += len(piece)
        zeros = zeros and piece == _ZEROS[: len(piece)]
    return {"application": "sink", "bytes": size, "zeros": zeros}


def _answer(asked: list[tuple[str, str]], start: Start) -> Iterable[bytes]:
    status, headers = HTTPStatus.OK, [("Content-Length", "0")]
    for name, value in asked:
        match name:
            case "status":
                status = HTTPStatus(int(value))
            case "cookie":
                headers.append(("Set-Cookie", value))
            case _:
                headers.append((name.title(), value))
    start(f"{status.value} {status.phrase}", headers)
    return []


def _echo(environment: Environment) -> dict[str, object]:
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(environment):
        digest.update(piece)
        size += len(piece)
    named = {name.removeprefix("HTTP_"): value for name, value in environment.items() if name.startswith("HTTP_")}
    named |= {name: environment[name] for name in ("CONTENT_LENGTH", "CONTENT_TYPE") if environment.get(name)}
    return {
        "application": "echo",
        "method": environment["REQUEST_METHOD"],
        "path": environment["RAW_URI"],
        "headers": [(name.replace("_", "-").title(), value) for name, value in named.items()],
        "bytes": size,
        "digest": digest.hexdigest(),
    }
