"""A Docker engine: the calls that control makes, and no others. Engine API 1.44, operations by its names.

ContainerList, -Inspect, -Create, -Start, -Kill, -Delete, ImageCreate and ImageInspect; where allowed, ContainerRename,
SystemEvents and SystemVersion. Each ends in time and is answered in values of JSON. Its errors:
TargetAway (nobody answers, or no engine does), NotAllowed (this call is refused to us), Refused (it answers and can't).
"""

import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import Any

import docker.constants
import docker.errors
import docker.utils
import paramiko
import requests
import urllib3.exceptions

from control.integrations.docker.client import Client, Quiet, messages, with_turns
from control.integrations.docker.dialing import Dialer, cutting
from control.integrations.docker.hiding import tokens_in
from control.integrations.docker.limits import Limits
from control.integrations.docker.refusals import (
    NotAllowed,
    Refused,
    away,
    is_forbidden,
    is_refusal,
    late,
    refusal,
    short,
    words_of,
)
from control.integrations.model import TargetAway

# What no container can be called: to ask whether a call is allowed, without any effect.
NOBODY = "_nobody"
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}", re.ASCII)
# What is kept of what an engine calls its version.
_LONGEST_VERSION = 80
_OLDEST: str = docker.constants.MINIMUM_DOCKER_API_VERSION
_BROKEN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    docker.errors.DockerException,
    paramiko.SSHException,
    OSError,
    EOFError,
    # What answers is in no shape that docker-py knows.
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


class Engine:
    """A connected engine, for one thread; only `cut` may be called from others. All of it raises TargetAway."""

    def __init__(self, dialer: Dialer, limits: Limits, host_key: str = "") -> None:
        self.limits = limits
        self.host_key = host_key
        self.software = ""
        self._dialer = dialer
        self._client = self._speaking(_OLDEST)
        self.api = self._learn()

    def close(self) -> None:
        """End all connections."""
        self._client.close()
        self._dialer.close()

    def cut(self) -> None:
        """End whatever is going on in another thread, where TargetAway is raised then."""
        self._dialer.cut()

    def containers(self, label: str) -> list[dict[str, Any]]:
        """All containers that have a label, running or not, as ContainerList tells of them."""
        with self._asking("GET /containers/json"):
            found = self._client.containers(all=True, filters={"label": [label]})
            if not (isinstance(found, list) and all(isinstance(each, dict) and "Id" in each for each in found)):
                raise TargetAway("not_an_engine", "GET /containers/json: expected a list of containers")
            return found

    def inspect(self, container: str) -> dict[str, Any]:
        """All about a container, by id or name. Raises Missing."""
        with self._asking("GET /containers/{id}/json"):
            found = dict(self._client.inspect_container(container))
            if not {"Id", "Name", "Image", "Config", "State"} <= found.keys():
                raise TargetAway("not_an_engine", "GET /containers/{id}/json: expected a container")
            return found

    def create(self, body: Mapping[str, Any], name: str) -> str:
        """A new container, which does not run yet: its id. Raises Refused (Missing: no such image; Taken: the name)."""
        self._client.hidden |= tokens_in(body)
        with self._asking("POST /containers/create"):
            return str(self._client.create_container_from_config(dict(body), name)["Id"])  # type: ignore[no-untyped-call]  # docker-py's

    def start(self, container: str) -> None:
        """Let it run; no harm if it does. Raises Refused."""
        with self._asking("POST /containers/{id}/start"):
            self._client.start(container)

    def kill(self, container: str, signal: str) -> None:
        """Send its first process a signal. Raises Missing, and Taken where it doesn't run."""
        with self._asking("POST /containers/{id}/kill"):
            self._client.kill(container, signal)

    def remove(self, container: str) -> None:
        """Remove it, running or not, with the volumes that nobody else has. Raises Missing, Taken."""
        with self._asking("DELETE /containers/{id}"):
            self._client.remove_container(container, v=True, force=True)

    def rename(self, container: str, name: str) -> None:
        """Call it otherwise. Raises NotAllowed, Missing, Taken."""
        with self._asking("POST /containers/{id}/rename"):
            self._client.rename(container, name)

    @cached_property
    def can_rename(self) -> bool:
        """Whether containers may be renamed here."""
        return self.is_allowed("POST", f"/containers/{NOBODY}/rename", {"name": NOBODY})

    def find_image(self, reference: str) -> str | None:
        """The id of an image that is there, by reference or id."""
        with self._asking("GET /images/{name}/json"):
            try:
                return str(self._client.inspect_image(reference)["Id"])  # type: ignore[no-untyped-call]  # docker-py's
            except docker.errors.NotFound as error:
                if error.response is None or is_refusal(error.response):
                    raise
                return None

    def pull(self, reference: str) -> Generator[Mapping[str, Any] | None, None, None]:
        """Messages of progress, until the image is there. Raises Refused where the registry does not give it.

        And None each `poll` seconds in which there is none: a turn for who may have to give up, and closes this then.
        With the engine's own rights: no password of this machine's goes to whoever answers there.
        """
        repository, tag = docker.utils.parse_repository_tag(reference)
        params = {"fromImage": repository, "tag": tag or "latest"}
        stream = self._stream("POST", "/images/create", params, self.limits.quiet)
        with (
            cutting(self._dialer, self.limits.pull),
            closing(with_turns(stream, self.limits.poll, self._dialer.cut)) as told,
        ):
            for message in told:
                if message is not None and "error" in message:
                    raise Refused(500, short(str(message["error"])))
                yield message

    def events(self, params: Mapping[str, str], quiet: float) -> Iterator[Mapping[str, Any]]:
        """What happens, as it does, until nothing has for `quiet` seconds. Raises NotAllowed."""
        try:
            yield from self._stream("GET", "/events", params, quiet)
        except Quiet:
            return
        except Refused as error:
            # Such as of engines that have no events, or none of these.
            raise NotAllowed("GET /events", error.words) from error

    def version(self) -> str:
        """What the engine calls its version, asked where that is allowed; else what its answers say of it."""
        try:
            with self._asking("GET /version"):
                return short(str(self._client.version()["Version"]))[:_LONGEST_VERSION]
        except (NotAllowed, Refused):
            return short(self.software)[:_LONGEST_VERSION]

    def is_allowed(self, method: str, path: str, params: Mapping[str, str], body: str | None = None) -> bool:
        """Whether a call gets through to the engine. Only for calls that the engine itself then refuses."""
        with self._asking(f"{method} {path}"):
            headers = {"Content-Type": "application/json"} if body else {}
            response = self._client.request(method, self._url(path), params=params, data=body, headers=headers)
            return not is_refusal(response)

    def _learn(self) -> str:
        with self._asking("GET /containers/json", min(self.limits.first, self.limits.call)):
            response = self._client.get(f"{self._client.base_url}/containers/json", params={"limit": "1"})
        version = response.headers.get("Api-Version", "")
        # Such as "Docker/20.10.24 (linux)".
        self.software = response.headers.get("Server", "").partition(" ")[0].removeprefix("Docker/")
        if not version and is_forbidden(response):
            # It can still be asked which calls it allows.
            return ""
        if not version or not (response.ok or is_forbidden(response)):
            # A proxy stands there without its engine, or something else.
            code = "engine_away" if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else "not_an_engine"
            raise TargetAway(code, f"HTTP {response.status_code}: {words_of(response)}")
        if not _VERSION.fullmatch(version) or docker.utils.version_lt(version, _OLDEST):
            raise TargetAway(
                "not_an_engine", f"expected an API of version {_OLDEST} or later, found {short(version)[:20]}"
            )
        self._client.close()
        self._client = self._speaking(version)
        return version

    def _speaking(self, version: str) -> Client:
        # docker-py reads that file, though nothing of it counts here.
        with self._translating("~/.docker/config.json", 0):
            return Client(self._dialer, version, self.limits)

    def _url(self, path: str) -> str:
        return f"{self._client.base_url}{f'/v{self.api}' if self.api else ''}{path}"

    def _stream(
        self, method: str, path: str, params: Mapping[str, str], quiet: float
    ) -> Generator[Mapping[str, Any], None, None]:
        timeout = (self.limits.connect, quiet)
        with self._translating(f"{method} {path}", quiet):
            response = self._client.request(method, self._url(path), params=params, stream=True, timeout=timeout)
            with response:
                response.raise_for_status()
                yield from messages(response, self.limits.message)

    @contextmanager
    def _asking(self, call: str, seconds: float | None = None) -> Iterator[None]:
        within = self.limits.call if seconds is None else seconds
        with cutting(self._dialer, within) as was_cut, self._translating(call, within, was_cut):
            yield

    @contextmanager
    def _translating(self, call: str, within: float, was_cut: threading.Event | None = None) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            raise refusal(call, error) from error
        except (TargetAway, *_BROKEN) as error:
            # Whatever it says then: a dialer that is cut can't know that it was.
            if was_cut is not None and was_cut.is_set():
                raise late(call, within) from error
            if isinstance(error, TargetAway):
                raise
            words = self._dialer.words()
            raise TargetAway("ssh_refused", short(words)) if words else away(call, error, within) from error
