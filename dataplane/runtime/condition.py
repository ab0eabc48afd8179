"""How the outpost is, for whoever asks: probes, scrapers, and control by its heartbeat. It reads and alters nothing."""

import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from dataplane.link.endings import Endings
from dataplane.link.keeper import Keeper
from dataplane.link.messages import Vitals
from dataplane.link.state import StateFolder
from dataplane.link.target import Instance
from dataplane.link.trail import Trail
from dataplane.link.watch import Watcher
from dataplane.runtime import logs, vitals
from dataplane.runtime.configuration import Configuration
from dataplane.runtime.directory import HeldDirectory
from dataplane.runtime.feed import DirectoryFeed
from dataplane.runtime.http import Page
from dataplane.runtime.metrics import CONTENT_TYPE, merged, render
from dataplane.runtime.report import Report, snapshot
from dataplane.runtime.workers import Workers

UNSERVED = 3.0
"""Seconds without any worker after which that is no replacement any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What it is read from; `clock` is POSIX seconds, `stopping` says whether the outpost has been told to end.

    Watcher, keeper and trail are None for a front door without applications, directory and feed for types that need
    none.
    """

    instance: Instance
    clock: Callable[[], float]
    stopping: Callable[[], bool]
    workers: Workers
    configuration: Configuration
    endings: Endings
    folder: StateFolder
    directory: HeldDirectory | None
    feed: DirectoryFeed | None
    trail: Trail | None
    keeper: Keeper | None
    watcher: Watcher | None

    def vitals(self) -> Vitals:
        """For the heartbeat."""
        return Vitals(
            uptime=self.clock() - self.instance.started,
            workers=len(self.workers.pids),
            memory=self._memory(),
            load=vitals.load(),
            last_error=self.last_error(),
            draining=self.stopping(),
        )

    def routes(self) -> dict[str, Callable[[], Awaitable[Page]]]:
        """The pages of the metrics port."""
        return {
            "/": _no_content,
            "/outpost.goauthentik.io/ping": _no_content,
            "/-/health/live/": self._live_page,
            "/-/health/ready/": self._ready_page,
            "/metrics": self._metrics_page,
        }

    def last_error(self) -> str:
        """All that is wrong; what is worst comes first."""
        link = self.watcher.status.last_error if self.watcher else ""
        refused = [f"{each.key}: {each.reason}" for each in self.configuration.rejections[:1]]
        directory = self.directory.error if self.directory else ""
        events = self.trail.error if self.trail else ""
        troubles = (link, self._find_workers_trouble(), *refused, self.folder.error, directory, events)
        return "; ".join(filter(None, troubles))

    def find_unready_reason(self) -> str | None:
        """Why it should not be asked anything, None when it may."""
        if self.stopping():
            return "the outpost is draining"
        if self.workers.unserved == math.inf:
            return f"no worker serves yet: {self.workers.trouble or 'waiting for the first'}"
        if self.workers.unserved >= UNSERVED:
            return self._find_workers_trouble()
        if self.watcher and self.configuration.updated is None:
            return f"no configuration yet: {self.last_error() or 'waiting for control'}"
        return (self.feed.waiting or None) if self.feed else None

    def _find_workers_trouble(self) -> str:
        """A replacement takes a moment; more than a moment is worth saying."""
        nobody = "no worker serves" if UNSERVED <= self.workers.unserved < math.inf else ""
        return ": ".join(filter(None, (nobody, self.workers.trouble)))

    async def _live_page(self) -> Page:
        """For the health check of a container: whether the processes are well, whatever control has said."""
        reason = self._find_workers_trouble() if self.workers.unserved >= UNSERVED and not self.stopping() else ""
        if not reason:
            return Page(status=HTTPStatus.OK, body=b"live\n")
        return Page(status=HTTPStatus.SERVICE_UNAVAILABLE, body=reason.encode() + b"\n")

    async def _ready_page(self) -> Page:
        reason = self.find_unready_reason()
        if reason is None:
            # Served all the same, from the last good state: nobody should restart it for that.
            unsupported = f"but {self.last_error()}\n" if self._is_unsupported() else ""
            return Page(status=HTTPStatus.OK, body=f"ready\n{unsupported}".encode())
        return Page(status=HTTPStatus.SERVICE_UNAVAILABLE, body=reason.encode() + b"\n")

    async def _metrics_page(self) -> Page:
        counted = await self.workers.scrape()
        text = render(merged((snapshot(self._report()), counted)))
        return Page(status=HTTPStatus.OK, body=text, content_type=CONTENT_TYPE)

    def _report(self) -> Report:
        keeper = self.keeper
        return Report(
            instance=self.instance,
            outpost_name=keeper.credentials.name if keeper and keeper.credentials else "",
            connected=bool(self.watcher and self.watcher.status.connected),
            updated=self.configuration.updated,
            ready=self.find_unready_reason() is None,
            gauges=self._gauges(),
            counters=self._counters(),
            enrolment_failures=keeper.failures if keeper else {},
        )

    def _gauges(self) -> dict[str, float]:
        gauges: dict[str, float] = {
            "garrison_outpost_workers": len(self.workers.pids),
            "garrison_outpost_worker_crash_loops": self.workers.looping,
            "garrison_outpost_unsupported": self._is_unsupported(),
            "garrison_outpost_memory_bytes": self._memory(),
            "garrison_outpost_config_revision": self.configuration.revision,
            "garrison_outpost_resources": self.configuration.count,
            "garrison_outpost_rejected_resources": len(self.configuration.rejections),
            "garrison_outpost_queued_sign_outs": len(self.endings.waiting),
            "garrison_outpost_state_unsaved": bool(self.folder.error),
        }
        if self.directory:
            gauges |= self.directory.gauges
        if self.trail:
            gauges |= self.trail.gauges
        if self.keeper and self.keeper.credentials:
            gauges["garrison_outpost_clock_skew_seconds"] = self.keeper.skew
            gauges["garrison_outpost_certificate_expiry_timestamp_seconds"] = self.keeper.credentials.expires
        return gauges

    def _counters(self) -> dict[str, float]:
        status = self.watcher.status if self.watcher else None
        return {
            "garrison_outpost_dropped_sign_outs_total": self.endings.dropped,
            logs.LOST: logs.dropped(),
            "garrison_outpost_worker_restarts_total": self.workers.restarts,
            "garrison_outpost_silent_scrapes_total": self.workers.silent_scrapes,
            "garrison_outpost_link_connections_total": status.connections if status else 0,
            "garrison_outpost_link_losses_total": status.losses if status else 0,
            "garrison_outpost_state_save_failures_total": self.folder.failures,
            **(self.trail.counters if self.trail else {}),
        }

    def _is_unsupported(self) -> bool:
        """Whether control has said that it doesn't serve this version."""
        return self.watcher is not None and self.watcher.status.unsupported

    def _memory(self) -> int:
        return vitals.memory_of((os.getpid(), *self.workers.pids))


async def _no_content() -> Page:
    return Page(status=HTTPStatus.NO_CONTENT)
