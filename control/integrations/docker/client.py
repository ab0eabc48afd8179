"""docker-py's low-level client over connections of our own: every request ends in time, every answer has its size."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from io import BytesIO
from typing import Any, TypeVar

import docker
import requests
import urllib3.exceptions

from control.integrations.docker.dialing import DialAdapter, Dialer
from control.integrations.docker.hiding import hide
from control.integrations.docker.limits import Limits

Value = TypeVar("Value")
_CUT_EACH = 0.1


class Quiet(Exception):
    """Nothing has come in a stream for as long as it was waited for."""


class Client(docker.APIClient):
    """Speaks one version of the API to one engine; asks nothing by itself."""

    def __init__(self, dialer: Dialer, version: str, limits: Limits) -> None:
        # Only for the header of HTTP that names the host: where connections go is the dialer's.
        super().__init__(base_url=f"http://{dialer.host}", version=version)
        self._limits = limits
        # What is in no error, whatever the engine repeats.
        self.hidden: frozenset[str] = frozenset()
        # Neither proxies nor certificates nor passwords from the environment, and no other way out than ours.
        self.trust_env = False
        self.adapters.clear()
        self.mount("http://", DialAdapter(dialer))

    def send(  # type: ignore[override]  # the rest of its options is handed on as it came
        self,
        request: requests.PreparedRequest,
        *,
        stream: bool = False,
        timeout: object = None,
        **options: Any,  # noqa: ANN401 - requests' own
    ) -> requests.Response:
        """As in requests.Session: all requests come here, and docker-py gives some of them no time-out."""
        quiet = self._limits.quiet if stream else self._limits.call
        known = timeout if isinstance(timeout, tuple) else (self._limits.connect, quiet)
        response = super().send(request, **(options | {"allow_redirects": False}), stream=True, timeout=known)
        if not stream or not response.ok or response.is_redirect:
            content = _read(response, self._limits.answer)
            response.raw = BytesIO(content if response.ok else self._without_secrets(content))
            # Now, since who looks at an error may have closed it.
            _ = response.content
        return response

    def _without_secrets(self, content: bytes) -> bytes:
        return hide(content.decode(errors="replace"), self.hidden).encode()


def messages(response: requests.Response, most: int) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of a stream, one a line. Raises Quiet; ValueError for another or one above `most` bytes."""
    # As they come: chunk by chunk, or byte by byte from a proxy that has undone the chunks.
    size = None if response.headers.get("Transfer-Encoding") == "chunked" else 1
    kept = b""
    try:
        for chunk in response.iter_content(size):
            *lines, kept = (kept + chunk).split(b"\n")
            if len(kept) > most:
                raise ValueError(f"expected messages of at most {most} bytes")
            yield from (_value(line) for line in lines if line.strip())
    except requests.ConnectionError as error:
        if error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError):
            raise Quiet from error
        raise
    if kept.strip():
        yield _value(kept)


def with_turns(
    values: Generator[Value, None, None], every: float, cut: Callable[[], None]
) -> Generator[Value | None, None, None]:
    """The same values, and None each time that none has come for `every` seconds: a turn for who waits for them.

    They are waited for in another thread; `cut` ends that wait when this is closed in the middle of it.
    """
    with closing(values), ThreadPoolExecutor(1, "turns") as reader:
        coming = reader.submit(next, values, None)
        try:
            while True:
                while not wait([coming], every).done:
                    yield None
                value = coming.result()
                if value is None:
                    return
                yield value
                coming = reader.submit(next, values, None)
        finally:
            # More than once: what is only about to be opened can't be cut.
            while not wait([coming], _CUT_EACH).done:
                cut()


def _value(line: bytes) -> Mapping[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("expected objects, one a line")  # noqa: TRY004 - what was sent is wrong, not what was called
    return found


def _read(response: requests.Response, most: int) -> bytes:
    parts, size = [], 0
    for part in response.raw.stream(1 << 16, decode_content=True):
        size += len(part)
        if size > most:
            response.close()
            raise ValueError(f"expected an answer of at most {most} bytes")
        parts.append(part)
    return b"".join(parts)
