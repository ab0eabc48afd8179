"""The supervisor's own metrics: authentik's names where it has them, the rest start with `garrison_`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.link.target import Instance
from dataplane.runtime import logs
from dataplane.runtime.server import Sample, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the outpost is, at the moment of a scrape."""

    instance: Instance
    outpost_name: str
    connected: bool
    updated: float | None
    ready: bool
    gauges: Mapping[str, float]
    counters: Mapping[str, float]
    enrolment_failures: Mapping[str, int]


_HELP = {
    "garrison_outpost_workers": "Workers that serve",
    "garrison_outpost_unsupported": "Whether control has said that it does not serve this version of the outpost",
    "garrison_outpost_worker_crash_loops": "Workers that keep ending soon after their start",
    "garrison_outpost_memory_bytes": "Resident memory of the supervisor and its workers",
    "garrison_outpost_config_revision": "Revision of the configuration in force",
    "garrison_outpost_resources": "Resources held",
    "garrison_outpost_rejected_resources": "Resources that could not be applied",
    "garrison_outpost_clock_skew_seconds": "How far control's clock is ahead, as of the last enrolment",
    "garrison_outpost_certificate_expiry_timestamp_seconds": "When the client certificate ends",
    "garrison_outpost_queued_sign_outs": "Sign-outs that wait for control",
    "garrison_outpost_dropped_sign_outs_total": "Sign-outs that control was never told of, for want of room",
    logs.LOST: logs.LOST_HELP,
    "garrison_outpost_worker_restarts_total": "Workers that were replaced",
    "garrison_outpost_silent_scrapes_total": "Workers that did not answer a scrape in time",
    "garrison_outpost_link_connections_total": "Connections made to control",
    "garrison_outpost_link_losses_total": "Connections to control that broke",
    "garrison_outpost_state_save_failures_total": "Times that the last good state could not be saved",
    "garrison_outpost_directory_entries": "Users and groups held",
    "garrison_outpost_directory_bytes": "Bytes of the users and groups held",
    "garrison_outpost_directory_unsaved": "Whether the disk does not take the users and groups",
    "garrison_outpost_events_waiting": "Events for the audit trail that control has not got yet",
    "garrison_outpost_events_bytes": "Bytes on disk of the events that wait",
    "garrison_outpost_events_unsaved": "Those of the events that wait which the disk has not got",
    "garrison_outpost_events_forwarded_total": "Events that control has got",
    "garrison_outpost_events_lost_total": "Events that control will never get, for want of room or by its own refusal",
    "garrison_outpost_state_unsaved": "Whether the disk does not take the last good state",
}


def snapshot(report: Report) -> Snapshot:
    """The report as samples."""
    gauges = [
        *_known_names(report),
        _plain("garrison_outpost_ready", "Whether it serves a configuration", report.ready),
    ]
    gauges += [_plain(name, _HELP[name], value) for name, value in report.gauges.items()]
    counters = [_plain(name, _HELP[name], value) for name, value in report.counters.items()]
    counters += [_enrolment_failure(reason, count) for reason, count in report.enrolment_failures.items()]
    return Snapshot(gauges=tuple(gauges), counters=tuple(counters))


def _known_names(report: Report) -> list[Sample]:
    instance = report.instance
    who = {"outpost_name": report.outpost_name, "outpost_type": instance.type, "uuid": instance.uid}
    what = who | {"version": instance.version, "build": instance.build}
    samples = [
        Sample(name="authentik_outpost_info", help="Outpost info", labels=what, value=1),
        Sample(name="authentik_outpost_connection", help="Connection status", labels=who, value=report.connected),
    ]
    if report.updated is not None:
        name = "authentik_outpost_last_update"
        samples.append(Sample(name=name, help="Time of last update", labels=what, value=report.updated))
    return samples


def _plain(name: str, text: str, value: float) -> Sample:
    return Sample(name=name, help=text, labels={}, value=value)


def _enrolment_failure(reason: str, count: int) -> Sample:
    name = "garrison_outpost_enrolment_failures_total"
    return Sample(name=name, help="Enrolments that failed, by reason", labels={"reason": reason}, value=count)
