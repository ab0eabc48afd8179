"""Integrations (engines that run outposts for control) and deployments (what control has put there). Values only.

A deployment outlives its outpost: it is the record of what still lies on an engine, and goes only when a look there has
shown that nothing of it is left.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class IntegrationType(StrEnum):
    """The kinds of engines."""

    DOCKER = "docker"


# What an engine behind a socket proxy may have to be allowed first, in authentik's words and order.
PERMISSIONS = ("images pull", "containers read", "containers create", "containers kill", "containers remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """An engine. `url` is `unix:///path`, `tcp://host:port` (with TLS wherever a certificate is named) or `ssh://user@host`.

    `tls_verification` is the certificate of its CA, `tls_authentication` the pair control shows (over SSH: its key).
    `local` ones were found by control itself.
    """

    id: UUID
    name: str
    type: IntegrationType
    url: str
    tls_verification: UUID | None = None
    tls_authentication: UUID | None = None
    local: bool = False
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationHealth:
    """What the last look at an integration has shown. `id` is the integration's.

    `error` is a code of `control.integrations` with `detail` in the words of whoever refused; both empty where it
    answers. `since` is when it became healthy or not. `missing` are those of PERMISSIONS that it refuses. `host_key` is
    the SSH host key (`type base64`) pinned on first use, `offered_key` another one that was shown and refused.
    """

    id: UUID
    healthy: bool
    checked: datetime
    since: datetime
    error: str = ""
    detail: str = ""
    version: str = ""
    missing: tuple[str, ...] = ()
    host_key: str = ""
    offered_key: str = ""

    @property
    def was_checked(self) -> bool:
        """Whether anybody has looked yet; its host key may have been seen before."""
        return self.healthy or bool(self.error)


class DeploymentState(StrEnum):
    """How a deployment is, as of the last look."""

    PENDING = "pending"
    DEPLOYED = "deployed"
    FAILED = "failed"
    # What was there before serves, since what is wanted did not become healthy.
    ROLLED_BACK = "rolled back"
    # Of an outpost that is gone or elsewhere: to be removed as soon as the engine answers.
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """That an outpost lies, or is about to lie, on an integration; written before anything is created there.

    `fingerprint` is of what lies there and is healthy, `image` what it runs (an id that the engine keeps). `failed` is
    the attempt that could not be had, made of `failed_image`: while something serves it is made again only when either
    changes or somebody asks. It has failed `tries` times on end, and nobody tries by himself before `retry`.
    `hosts` are the host names of what was seen there and may be among the instances yet.
    """

    id: UUID
    integration: UUID
    outpost: UUID
    name: str
    state: DeploymentState = DeploymentState.PENDING
    fingerprint: str = ""
    image: str = ""
    failed: str = ""
    failed_image: str = ""
    tries: int = 0
    retry: datetime | None = None
    error: str = ""
    detail: str = ""
    hosts: tuple[str, ...] = ()
    created: datetime
    checked: datetime | None = None
    changed: datetime | None = None
