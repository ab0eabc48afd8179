"""Runs all measurements and writes docs/benchmarks.md. A peer that is missing is one clear line."""

import argparse
import sys
from pathlib import Path

from tests.bench import changes, checks, decisions, deployments, directory, fleets, ldap, proxying, report, start
from tests.bench.stage import staged
from tests.support.peers_program import MissingPeer, require

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
PEERS = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "taskset": "util-linux",
    "slapd": "slapd",
    "gcc": "gcc",
    "dockerd": "docker.io",
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, help="where to write the page")
    output = parser.parse_args().output
    try:
        for program, package in PEERS.items():
            require(program, package)
    except MissingPeer as missing:
        sys.stderr.write(f"bench: {missing}\n")
        return 1
    page = report.page(_measure())
    output.write_text(page)
    sys.stdout.write(page)
    return 0


def _measure() -> report.Figures:
    with staged() as stage:
        _say(f"forward-auth checks, about {checks.minutes():.0f} minutes")
        asked = checks.measure(stage)
        _say(f"{changes.COMMITS} commits through the store")
        stored = changes.by_store(stage)
        _say(f"{changes.COMMITS} commits through the form")
        formed = changes.by_form(stage)
        _say(f"{changes.LOCK_OUTS} users locked out")
        locked = changes.lock_outs(stage)
        _say("decisions, and checks beside a flood of sign-ins, about a minute")
        decided = decisions.measure(stage)
    _say(f"mode proxy beside nginx and HAProxy, about {proxying.minutes():.0f} minutes")
    proxied = proxying.measure()
    _say(f"{start.STARTS} warm starts")
    starts = start.warm_starts()
    _say(f"fleets of {', '.join(str(size) for size in fleets.SIZES)} outposts, about 3 minutes")
    fleet = fleets.measure()
    _say(f"a directory of {directory.USERS:,} users, about 2 minutes")
    feeds = directory.measure()
    _say(f"LDAP beside slapd, {' and '.join(f'{users:,}' for users, _, _ in ldap.SIZES)} users, about 4 minutes")
    served = ldap.measure()
    _say(f"deployments, and {deployments.OUTPOSTS} outposts on an engine, about 4 minutes")
    return report.Figures(
        checks=asked,
        proxying=proxied,
        stored=stored,
        formed=formed,
        locked=locked,
        decided=decided,
        starts=starts,
        fleets=fleet,
        feeds=feeds,
        ldap=served,
        deployments=deployments.measure(),
    )


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
