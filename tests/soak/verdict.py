"""What has to be so in the end. Each look gives sentences about what isn't; none means that all is well."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from control.fleet.snapshot import read_facts
from control.link.state import compute
from dataplane.link.state import StateUnreadable, unseal
from tests.interop.world import PASSWORD
from tests.soak.fleet import Fleet, Member, Person
from tests.support.browser_http import Visitor
from tests.support.chaos import QUESTION
from tests.support.outpost_process import children
from tests.support.peers_http import ask

# What a process may have more than when it began: of memory this part and so many MiB, and so many descriptors.
MORE_MEMORY = 0.5, 40.0
MORE_DESCRIPTORS = 40
MOST_SHOWN = 5


def unsettled(fleet: Fleet) -> Iterator[str]:
    """Copies that control doesn't list as connected and at its revision."""
    rows = {row["instance"]: row for row in json.loads(fleet.garrison.run("outposts", "--json"))}
    for member in fleet.members:
        row = rows.get(member.uid)
        if row is None:
            yield f"{member.name}: control doesn't know it"
        elif row["state"] != "connected" or row["applied_revision"] != row["wanted_revision"]:
            yield f"{member.name}: {row}"


def differing(fleet: Fleet) -> Iterator[str]:
    """Copies that hold something else than control wants them to, resource by resource."""
    with fleet.store.read() as unit:
        facts = read_facts(unit)
    state = compute(facts, fleet.garrison.url)
    names = {outpost.name: outpost.id for outpost in facts.outposts.values()}
    for group in fleet.groups:
        resources = state.parts[names[group.name]].wanted.resources
        wanted = {key: each.digest for key, each in resources.items()}
        for member in group.members:
            yield from _compared(member, wanted)


def _compared(member: Member, wanted: dict[str, str]) -> Iterator[str]:
    try:
        saved = unseal((member.state / "state").read_bytes(), member.environment["AUTHENTIK_TOKEN"])
    except (OSError, StateUnreadable) as error:
        yield f"{member.name}: its state can't be read: {error}"
        return
    held = {resource.key: resource.digest for resource in saved.resources}
    for key in sorted(held.keys() | wanted.keys()):
        if held.get(key) != wanted.get(key):
            yield f"{member.name}: {key}: holds {held.get(key)}, control wants {wanted.get(key)}"


def misjudged(fleet: Fleet) -> Iterator[str]:
    """Copies that answer a session otherwise than they have to, or know its person by an old name."""
    for person in (*fleet.steady, *fleet.others):
        for member in person.group.members:
            asker = person.asker
            headers = [("X-Original-URL", asker.url), ("Cookie", asker.cookies)]
            answer = ask(member.http, QUESTION, host=asker.host, headers=headers)
            if answer.status != person.expected:
                yield f"{member.name} answers {answer.status} to {person.username}, not {person.expected}"
            elif answer.status == 200 and answer.header("X-authentik-name") != person.name:
                yield f"{member.name} knows {person.username} as {answer.header('X-authentik-name')}, not {person.name}"


def errors_seen(fleet: Fleet) -> Iterator[str]:
    """Answers that a signed-in person should never have got."""
    for person in fleet.steady:
        yield from _errors(person, {200})
    for person in fleet.others:
        yield from _errors(person, {200, 401, 403})


def _errors(person: Person, good: set[int]) -> Iterator[str]:
    errors = [seen for seen in person.probe.answers if seen.status not in good]
    if errors:
        yield f"{person.username} saw {len(errors)} errors in {len(person.probe.answers)}: {errors[:MOST_SHOWN]}"


def shut_out(fleet: Fleet) -> Iterator[str]:
    """Groups where nobody can sign in."""
    for group in fleet.groups:
        page = Visitor().sign_in(group.site.url + "/", f"steady-{group.name}-0", PASSWORD)
        if page.status != 200:
            yield f"sign-in at {group.name}: {page.status} {page.url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process has: descriptors, and resident memory in MiB."""

    descriptors: int
    memory: float


def usage(fleet: Fleet) -> dict[str, Usage]:
    """By process: those of control, and the largest of the outposts' supervisors and of their workers."""
    found = {"serve": _usage(fleet.garrison.program.process.pid)}
    for name, pid in fleet.processes().items():
        found[name] = _most([pid])
        if below := children(pid):
            found[f"{name}'s children"] = _most(below)
    found["supervisors"] = _most([member.pid for member in fleet.members])
    found["workers"] = _most([pid for member in fleet.members for pid in member.workers])
    return found


def grown(before: dict[str, Usage], after: dict[str, Usage]) -> Iterator[str]:
    """Processes that have more than they should."""
    part, more = MORE_MEMORY
    for name, had in before.items():
        has = after.get(name)
        if has is None:
            yield f"{name}: gone"
        elif has.descriptors > had.descriptors + MORE_DESCRIPTORS:
            yield f"{name}: {has.descriptors} descriptors, {had.descriptors} at the beginning"
        elif has.memory > had.memory * (1 + part) + more:
            yield f"{name}: {has.memory:.0f} MiB, {had.memory:.0f} MiB at the beginning"


def _most(pids: list[int]) -> Usage:
    each = [_usage(pid) for pid in pids]
    return Usage(
        descriptors=max((one.descriptors for one in each), default=0),
        memory=max((one.memory for one in each), default=0),
    )


def _usage(pid: int) -> Usage:
    process = Path(f"/proc/{pid}")
    try:
        pages = int((process / "statm").read_text().split()[1])
        return Usage(
            descriptors=sum(1 for _ in (process / "fd").iterdir()), memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        )
    except OSError:
        return Usage(descriptors=0, memory=0.0)


def sessions(fleet: Fleet) -> set[int]:
    """The sessions (setsid) of every process that was ever started; children of control have some of their own."""
    begun = {program.process.pid for member in fleet.members for program in member.programs}
    return begun | {fleet.garrison.program.process.pid} | set(fleet.processes().values())


def left(sessions: set[int]) -> Iterator[str]:
    """Processes that are still there."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid = int(status.parent.name)
            if os.getsid(pid) in sessions and status.read_text().rpartition(")")[2].split()[0] != "Z":
                command = (status.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield f"process {pid} is still there: {command[:200]}"
