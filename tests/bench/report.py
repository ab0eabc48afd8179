"""docs/benchmarks.md: the figures, where they come from, and what they mean."""

import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import changes, checks, decisions, deployments, directory, fleets, ldap, load, proxying, start
from tests.bench.load import Run
from tests.bench.samples import median, percentile, spread
from tests.support.peers_program import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that was measured; lists of milliseconds."""

    checks: checks.Loads
    proxying: proxying.Proxying
    stored: list[float]
    formed: list[float]
    locked: list[float]
    decided: decisions.Decisions
    starts: list[float]
    fleets: fleets.Fleets
    feeds: list[directory.Feed]
    ldap: list[ldap.Size]
    deployments: deployments.Deployments


def page(figures: Figures) -> str:
    """The whole page."""
    return "\n".join(
        [
            *_head(),
            *_checks(figures.checks),
            *proxying.section(figures.proxying),
            *_changes(figures),
            *_decisions(figures.decided),
            *_fleets(figures.fleets),
            *_feeds(figures.feeds),
            *_ldap(figures.ldap),
            *deployments.section(figures.deployments),
            *_starts(figures.starts),
            *_machine(),
        ]
    )


def _head() -> list[str]:
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`; run it to have the figures of your own machine. Machines differ and shared ones are",
        "noisy: a figure means something beside the others of its run, not beside those of another day.",
        "",
    ]


def _checks(loads: checks.Loads) -> list[str]:
    varied, repeated = loads.varied, loads.repeated
    return [
        "## Forward auth",
        "",
        "One worker, pinned to one core, answers nginx's question (`/outpost.goauthentik.io/auth/nginx`) for a valid",
        "session: the cookie is checked, expiry and revocations too, and the identity headers with the signed token",
        f"go back. The load comes from the other core: wrk, {load.CONNECTIONS} keep-alive connections,",
        f"{loads.request_bytes:,} bytes a request. Beside it, in turns, nginx with one worker on the same core and",
        f"`return 200` for the same bytes: {len(varied.ours)} runs of {load.SECONDS} s each, medians.",
        "",
        "| load | server | requests a second | lowest to highest | p50 ms | p99 ms | processor µs | core used |",
        "|---|---|---|---|---|---|---|---|",
        _row(f"{checks.SESSIONS} sessions in turn, every request for another address", "Garrison", varied.ours),
        _row("the same", "nginx", varied.nginx),
        _row("one session, one address, again and again", "Garrison", repeated.ours),
        _row("the same", "nginx", repeated.nginx),
        "",
        f"Garrison reaches **{varied.ratio:.2f}** of nginx's rate at {varied.cost:.1f} times its processor time, and",
        f"{repeated.ratio:.2f} at {repeated.cost:.1f} times where one request repeats. nginx decides nothing here and",
        "adds no headers: it is the ceiling of what an answer over HTTP can cost on this machine, not a rival. Where a",
        "core is not used up, the load generator or the machine was the limit, and the processor time says more than",
        "the rate. A cookie is decrypted when it is first seen; expiry and revocation are looked at each time.",
        "",
    ]


def _row(name: str, server: str, runs: list[Run]) -> str:
    rates = [run.rate for run in runs]
    cells = [
        name,
        server,
        f"{median(rates):,.0f}",
        spread(rates),
        f"{median([run.p50 for run in runs]):.2f}",
        f"{median([run.p99 for run in runs]):.2f}",
        f"{median([run.cpu for run in runs]):.1f}",
        f"{median([run.busy for run in runs]):.0%}",
    ]
    return "| " + " | ".join(cells) + " |"


def _changes(figures: Figures) -> list[str]:
    rows = [
        _latency("the end of a commit to the database", figures.stored),
        _latency("sending the admin's form (the whole request counts)", figures.formed),
        _latency(
            f"the commit that deactivates a user, to the first refusal ({changes.LOCK_OUTS} times)", figures.locked
        ),
    ]
    return [
        "## From a commit to its effect",
        "",
        f"A path is opened without sign-in ({changes.COMMITS} times, {changes.APART:g} s apart), and the outpost is",
        "asked over and over until it lets an anonymous request for it through. Control and outpost run on one",
        "machine, so no network counts. A change within 50 ms of the one before would wait for the rest of them.",
        "",
        "| from | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _latency(name: str, values: list[float]) -> str:
    return f"| {name} | {percentile(values, 0.5):.0f} | {percentile(values, 0.99):.0f} | {max(values):.0f} |"


def _decisions(measured: decisions.Decisions) -> list[str]:
    hashed, signed_in = median(measured.hashes), median(measured.sign_ins)
    calm, flooded = measured.calm, measured.flooded
    rows = [
        _precise("argon2id alone, in one thread (64 MiB, 3 passes, 4 lanes)", measured.hashes),
        _precise("a sign-in in the browser, one after the other: form, password, page", measured.sign_ins),
        _precise("a decision without a hash (app password), in this process", measured.decided),
        _precise("the same asked over the link: TLS, decision, signed ID token", measured.asked),
    ]
    return [
        "## Who may come in",
        "",
        "| what | p50 ms | p99 ms |",
        "|---|---|---|",
        *rows,
        "",
        f"So {1000 / signed_in:.1f} sign-ins a second come in one after the other, and argon2id is",
        f"{hashed / signed_in:.0%} of each. Every decision is one transaction with its audit event.",
        "",
        f"{decisions.FLOOD} browsers that sign in without a pause, from one address, while control shares its core",
        f"with the load: {measured.answered} came in and {measured.turned_away} were told to come back later.",
        f"Forward-auth checks meanwhile: {median([run.rate for run in flooded]):,.0f} a second,",
        f"alone {median([run.rate for run in calm]):,.0f}; of the outpost's processor",
        f"{median([run.cpu for run in flooded]):.1f} us each, alone {median([run.cpu for run in calm]):.1f} us;",
        f"p50 {median([run.p50 for run in flooded]):.2f} ms, alone {median([run.p50 for run in calm]):.2f} ms. What is",
        "missing in the rate is missing to the load, which shares its core with the hashes, not to the outpost.",
        "",
    ]


def _precise(name: str, values: list[float]) -> str:
    return f"| {name} | {percentile(values, 0.5):.1f} | {percentile(values, 0.99):.1f} |"


def _fleets(measured: fleets.Fleets) -> list[str]:
    storm = measured.storm
    return [
        "## A fleet on the link",
        "",
        f"A change that every outpost gets, {fleets.COMMITS} times: from the end of its commit to the moment an",
        "outpost has it and says so. The outposts are simulated by one process on the other core: a channel, a",
        "certificate and the whole protocol each, no workers. Beside it, in the same run, the same outposts at a bare",
        "`grpc.aio` server that sends as many bytes to each and does nothing else: what gRPC and its clients cost by",
        "themselves. Memory is what control's link process grew by for each connection.",
        "",
        "| outposts | p50 ms | p99 ms | bare gRPC p50 ms | bare gRPC p99 ms | memory of control per outpost |",
        "|---|---|---|---|---|---|",
        *map(_fleet, measured.fleets),
        "",
        f"**When all come back at once**: the link is killed under {storm.size:,} connected outposts, and something",
        f"is changed meanwhile. Half have the change after {storm.median_return:.1f} s, all after",
        f"**{storm.seconds:.1f} s**; outposts wait a random while before they call again, and control starts its link",
        f"anew. People sign in all the time: {len(storm.sign_ins)} sign-ins, none failed,",
        f"p50 {percentile(storm.sign_ins, 0.5):,.0f} ms, longest",
        f"{max(storm.sign_ins):,.0f} ms.",
        "",
    ]


def _fleet(fleet: fleets.Fleet) -> str:
    cells = [
        f"{fleet.size:,}",
        f"{percentile(fleet.ours, 0.5):.0f}",
        f"{percentile(fleet.ours, 0.99):.0f}",
        f"{percentile(fleet.bare, 0.5):.0f}",
        f"{percentile(fleet.bare, 0.99):.0f}",
        f"{fleet.memory:.0f} KiB" if fleet.size > 1 else "",
    ]
    return "| " + " | ".join(cells) + " |"


def _feeds(feeds: list[directory.Feed]) -> list[str]:
    return [
        "## Users and groups on their way to an LDAP outpost",
        "",
        f"{directory.USERS:,} users and {directory.GROUPS:,} groups, one of them with {directory.LARGEST:,} members,",
        f"to an outpost that holds nothing, over the real link; then {directory.CHANGES} changes to single users.",
        "Meanwhile a proxy outpost gets its configuration, and the link's event loop is asked how late it is:",
        "milliseconds, p99.",
        "",
        "| database | all, s | control grows, MiB | loop late | proxy's change | the same, idle | one user p50 | p99 |",
        "|---|---|---|---|---|---|---|---|",
        *map(_feed, feeds),
        "",
    ]


def _feed(feed: directory.Feed) -> str:
    cells = [
        feed.database,
        f"{feed.cold:.1f}",
        f"{feed.grown:.0f}",
        f"{percentile(feed.late, 0.99):.0f}",
        f"{percentile(feed.pushes, 0.99):.0f}",
        f"{percentile(feed.quiet, 0.99):.0f}",
        f"{percentile(feed.changes, 0.5):.0f}",
        f"{percentile(feed.changes, 0.99):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


_KINDS = {
    "equality": "`(uid=x)`, all attributes",
    "either": "`(\\|(uid=x)(mail=x))`, all attributes",
    "groups": "`(&(objectClass=groupOfNames)(member=x))`, `cn`",
    "parts": "`(cn=*x*)`, few hits, `cn` and `mail`",
    "dump": "everything, all attributes, in pages of 1,000",
    "bind": "a bind, answered by a kept answer",
    "mixed": "the first four mixed",
}


def _ldap(sizes: list[ldap.Size]) -> list[str]:
    largest = sizes[-1]
    return [
        "## LDAP",
        "",
        "One worker of an LDAP outpost, pinned to one core, beside slapd on the same core with the same entries, in",
        f"turns: {ldap.ROUNDS} runs of {ldap.SECONDS:g} s each, medians. The load comes from the other core: a program",
        f"in C, {ldap.CONNECTIONS} connections (one for the dump), each with one request on its way, everything seen",
        "by an account of a group that may read all of it. slapd has indexes for all that is asked, its database in",
        "memory, and its passwords in clear; both look up at each request what the account may see. The",
        f"load itself takes {_load_of(sizes):.1f} µs an equality search, so it is not the limit.",
        "",
        "| users | request | server | a second | times slapd | p50 ms | p99 ms | processor µs | core used | entries |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row for size in sizes for pair in size.pairs for row in _ldap_rows(size, pair)),
        "",
        "Memory of all processes after these runs, each page counted once:",
        "",
        "| users | groups | members of the largest | Garrison MiB | slapd MiB |",
        "|---|---|---|---|---|",
        *(
            f"| {size.users:,} | {size.groups:,} | {size.largest:,} | {size.memory:.0f} | {size.slapd_memory:.0f} |"
            for size in sizes
        ),
        "",
        f"slapd's is mostly its database, mapped. {ldap.IDLE:,} more connections that say nothing cost the outpost",
        f"{largest.idle:.1f} KiB each.",
        "",
    ]


def _load_of(sizes: list[ldap.Size]) -> float:
    return median([run.load for size in sizes for pair in size.pairs if pair.kind == "equality" for run in pair.ours])


def _ldap_rows(size: ldap.Size, pair: ldap.Pair) -> list[str]:
    head = [f"{size.users:,}", _KINDS[pair.kind]]
    return [
        _ldap_row([*head, "Garrison"], pair.ours, f"**{pair.ratio:.2f}**"),
        _ldap_row(["", "the same", "slapd"], pair.slapd, ""),
    ]


def _ldap_row(head: list[str], runs: list[ldap.Run], ratio: str) -> str:
    rate, p50, p99 = (median(values) for values in zip(*((run.rate, run.p50, run.p99) for run in runs), strict=True))
    cpu, entries = median([run.cpu for run in runs]), median([run.entries for run in runs])
    cells = [
        f"{rate:,.{0 if rate > 10 else 1}f}",
        ratio,
        f"{p50:,.2f}",
        f"{p99:,.2f}",
        f"{cpu:,.1f}",
        f"{entries:,.1f}",
    ]
    return "| " + " | ".join([*head, *cells]) + " |"


def _starts(starts: list[float]) -> list[str]:
    return [
        "## Warm start",
        "",
        f"From `garrison serve` to a sign-in page at the front door, on an existing database, {start.STARTS} times:",
        f"median **{median(starts) / 1000:.2f} s**, longest {max(starts) / 1000:.2f} s.",
        "",
    ]


def _machine() -> list[str]:
    rows = {
        "when": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{_processor()}, {_cores()} cores; server on {load.SERVER_CORE}, load on {load.LOAD_CORE}",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}",
        "Garrison": f"{version('garrison')}, Python {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("gevent", "httptools", "grpcio", "cryptography")),
        "peers": ", ".join(
            f"{name} {_tool(command)}"
            for name, command in (
                ("nginx", ["nginx", "-v"]),
                ("HAProxy", ["haproxy", "-v"]),
                ("wrk", ["wrk", "-v"]),
                ("slapd", ["slapd", "-VV"]),
            )
        ),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return ["## Where and with what", "", "| | |", "|---|---|", *lines, ""]


def _processor() -> str:
    match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return match[1].strip() if match else platform.machine()


def _cores() -> int:
    return len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))


def _distribution() -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', Path("/etc/os-release").read_text(), re.MULTILINE)
    return match[1] if match else "unknown"


def _tool(command: list[str]) -> str:
    done = subprocess.run(
        [require(command[0], command[0]), *command[1:]], capture_output=True, text=True, check=False, timeout=10
    )
    match = re.search(r"(\d+\.\d+[\d.]*)", done.stdout + done.stderr)
    return match[1] if match else "of unknown version"
