"""Link.Watch over real gRPC, mutual TLS and a real database: the test plays the outposts."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from sqlalchemy.exc import OperationalError

from control.domain.outpost import InstanceState
from control.fleet.tokens import replace_token, revoke_token
from control.store import Store, Unit
from protos.outpost.v1 import link_pb2, resources_pb2
from tests.support.fleet import Deployed, add_site, deploy
from tests.support.links import Actress, Control, eventually, outpost
from tests.support.stores import ADMIN


def rename(store: Store, name: str, new: str) -> int:
    """Change a provider as an admin would; the revision it made."""
    with store.write(ADMIN) as unit:
        provider = unit.providers.get_named(name)
        unit.providers.update(replace(provider, external_host=f"https://{new}.example.com"))
    with store.read() as unit:
        return unit.revision()


def test_hello_is_answered_with_everything(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            (config,) = await edge.config()
            provider = deployed.sites[0].provider
            assert set(edge.held) == {"options", f"provider/{provider.id}"}
            assert edge.resources["options"].options.browser_url == "http://localhost:9000"
            served = edge.resources[f"provider/{provider.id}"].proxy_provider
            assert (served.application_slug, served.external_host) == ("wiki", "https://wiki.example.com")
            assert [len(key.secret) for key in served.session_keys] == [32]
            assert (config.part, config.last) == (0, True)

    asyncio.run(play())


def test_a_commit_is_pushed_at_once(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            await edge.take()
            for number in range(5):
                before = time.monotonic()
                revision = rename(control.store, "wiki", f"wiki{number}")
                config = await edge.take()
                assert config.revision == revision
                assert time.monotonic() - before < 0.25

    asyncio.run(play())


async def connected(edge: Actress) -> None:
    """Say Hello and take what is sent."""
    await edge.hello()
    await edge.take()


def test_what_is_held_is_not_sent_again(control: Control) -> None:
    deployed = deploy(control.store, sites=("wiki", "blog"))
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await connected(edge)
            held = dict(edge.held)
        async with control.link() as link, outpost(link, given) as edge:
            edge.held = held
            await edge.hello()
            rename(control.store, "wiki", "other")
            (config,) = await edge.config()
            assert [resources_pb2.Resource.FromString(data).key for data in config.resources] == [
                f"provider/{deployed.sites[0].provider.id}"
            ]
            assert len(config.removed) == 0

    asyncio.run(play())


def test_a_restarted_control_sends_nothing_when_all_is_held(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await connected(edge)
            held = dict(edge.held)
        async with control.link() as link, outpost(link, given) as edge:
            edge.held = held
            await edge.hello(revision=1)
            assert await edge.silent(0.4)
            (instance,) = link.parts.roster.instances.values()
            assert instance.applied_revision == instance.wanted_revision == link.parts.revisions.state.revision

    asyncio.run(play())


def test_what_an_outpost_holds_too_much_is_removed(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            edge.held = {"provider/gone": "x", "local/ended/session/1": "local"}
            await edge.hello()
            (config,) = await edge.config()
            assert set(config.removed) == {"provider/gone", "local/ended/session/1"}

    asyncio.run(play())


def test_one_push_is_in_flight_and_the_newest_state_wins(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            (first,) = await edge.config()
            for number in range(20):
                newest = rename(control.store, "wiki", f"wiki{number}")
                await asyncio.sleep(0)
            await eventually(lambda: link.parts.revisions.state.revision == newest)
            await edge.applied(first.revision)
            (second,) = await edge.config()
            assert second.revision == newest
            (provider,) = [each.proxy_provider for key, each in edge.resources.items() if key.startswith("provider")]
            assert provider.external_host == "https://wiki19.example.com"
            await edge.applied(second.revision)
            assert await edge.silent(0.3)

    asyncio.run(play())


def test_bursts_are_coalesced(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connected(edge)
            begun = time.monotonic()
            last = await asyncio.to_thread(
                lambda: [rename(control.store, "wiki", f"w{each}") for each in range(30)][-1]
            )
            pushes = [await edge.take()]
            while pushes[-1].revision < last:
                pushes.append(await edge.take())
            assert len(pushes) <= (time.monotonic() - begun) / 0.05 + 2

    asyncio.run(play())


def test_a_refused_resource_is_not_sent_again_until_it_differs(control: Control) -> None:
    deployed = deploy(control.store, sites=("wiki", "blog"))
    wiki = f"provider/{deployed.sites[0].provider.id}"

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            (config,) = await edge.config()
            refusal = link_pb2.Rejection(key=wiki, digest=edge.held.pop(wiki), reason="external_host: no such scheme")
            await edge.applied(config.revision, (refusal,))
            rename(control.store, "blog", "blog2")
            (config,) = await edge.config()
            assert len(config.resources) == 1
            await edge.applied(config.revision, (refusal,))
            (instance,) = link.parts.roster.instances.values()
            assert [each.key for each in instance.rejections] == [wiki]
            rename(control.store, "wiki", "wiki2")
            await edge.take()
            assert wiki in edge.held
            await eventually(lambda: next(iter(link.parts.roster.instances.values())).rejections == ())

    asyncio.run(play())


def test_two_outposts_get_each_their_own(control: Control) -> None:
    east, west = deploy(control.store, "east", ("wiki",)), deploy(control.store, "west", ("blog",))

    async def play() -> None:
        async with (
            control.link() as link,
            outpost(link, control.enrol(east)) as one,
            outpost(link, control.enrol(west)) as other,
        ):
            await connected(one)
            await connected(other)
            assert f"provider/{east.sites[0].provider.id}" in one.held
            assert f"provider/{east.sites[0].provider.id}" not in other.held
            rename(control.store, "wiki", "wiki2")
            await one.take()
            assert await other.silent(0.3)

    asyncio.run(play())


def test_a_commit_without_a_datagram_is_found_too(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connected(edge)
            control.sends_wakes = False
            begun = time.monotonic()
            rename(control.store, "wiki", "wiki2")
            await edge.take()
            assert time.monotonic() - begun < 1

    asyncio.run(play())


def test_much_travels_in_parts(control: Control) -> None:
    deployed = deploy(control.store, sites=())
    with control.store.write(ADMIN) as unit:
        rules = "\n".join(f"^/{'x' * 60}{line}" for line in range(40))
        sites = [add_site(unit, f"site{number}", skip_path_regex=rules) for number in range(1000)]
        providers = frozenset(site.provider.id for site in sites)
        unit.outposts.update(replace(deployed.outpost, providers=providers))

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello()
            parts = await edge.config()
            assert len(edge.held) == 1001
            assert len(parts) > 2
            assert [part.part for part in parts] == list(range(len(parts)))
            assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
            assert max(part.ByteSize() for part in parts) < 1.1 * 1024 * 1024

    asyncio.run(play())


def test_digests_are_sent_at_the_refresh_interval(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.fleet.options.SHORTEST_REFRESH", timedelta())
    deployed = deploy(control.store, config={"refresh_interval": "milliseconds=200"})

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connected(edge)
            heard = await edge.hear()
            assert dict(heard.digests.wanted) == edge.held
            # One that has drifted says Hello again and gets what it lacks.
            lost = edge.held.pop("options")
            await edge.hello()
            await edge.take()
            assert edge.held["options"] == lost

    asyncio.run(play())


def refused_hello(control: Control, deployed: Deployed, **fields: Any) -> tuple[grpc.StatusCode, str]:
    """How a stream ends that begins with such a Hello."""
    given = control.enrol(deployed)

    async def play() -> tuple[grpc.StatusCode, str]:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(**fields)
            return await edge.status()

    return asyncio.run(play())


def test_a_protocol_that_is_not_served(control: Control) -> None:
    code, message = refused_hello(control, deploy(control.store), protocol=7)
    assert (code, "version 7" in message) == (grpc.StatusCode.FAILED_PRECONDITION, True)


def test_a_type_that_is_not_the_outposts(control: Control) -> None:
    code, message = refused_hello(control, deploy(control.store), type="ldap")
    assert (code, "'ldap'" in message) == (grpc.StatusCode.FAILED_PRECONDITION, True)


def test_an_instance_that_is_not_the_certificates(control: Control) -> None:
    code, _ = refused_hello(control, deploy(control.store), instance="somebody-else")
    assert code is grpc.StatusCode.PERMISSION_DENIED


def test_a_stream_that_does_not_begin_with_hello(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.health(workers=1)
            code, message = await edge.status()
            assert (code, message) == (grpc.StatusCode.INVALID_ARGUMENT, "expected Hello within ten seconds")

    asyncio.run(play())


def revoke(unit: Unit, deployed: Deployed) -> None:
    revoke_token(unit, unit.tokens.get(deployed.token.id))


def renew(unit: Unit, deployed: Deployed) -> None:
    replace_token(unit, deployed.outpost)


def expire(unit: Unit, deployed: Deployed) -> None:
    unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=unit.now))


def remove(unit: Unit, deployed: Deployed) -> None:
    unit.outposts.remove(unit.outposts.get(deployed.outpost.id))


CUTS = [(revoke, "revoked"), (renew, "replaced"), (expire, "expired"), (remove, "does not exist")]


@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_who_lost_its_token_is_not_admitted(
    control: Control, cut: Callable[[Unit, Deployed], None], words: str
) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    with control.store.write(ADMIN) as unit:
        cut(unit, deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello()
            code, message = await edge.status()
            assert (code, words in message) == (grpc.StatusCode.UNAUTHENTICATED, True), message

    asyncio.run(play())


@pytest.mark.parametrize("woken", [True, False])
@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_who_loses_its_token_is_cut_within_a_second(
    control: Control, cut: Callable[[Unit, Deployed], None], words: str, *, woken: bool
) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await connected(edge)
            control.sends_wakes = woken
            with control.store.write(ADMIN) as unit:
                cut(unit, deployed)
            begun = time.monotonic()
            code, message = await edge.status()
            assert (code, words in message) == (grpc.StatusCode.UNAUTHENTICATED, True), message
            assert time.monotonic() - begun < 1

    asyncio.run(play())


def test_a_token_that_runs_out_cuts_though_nobody_commits(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    with control.store.write(ADMIN) as unit:
        expires = unit.now + timedelta(minutes=5)
        unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=expires))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await connected(edge)
            control.clock.advance(minutes=5)
            code, message = await edge.status()
            assert (code, "expired" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)

    asyncio.run(play())


def test_the_newer_stream_of_an_instance_takes_over(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as older, outpost(link, given) as newer:
            await connected(older)
            await connected(newer)
            code, _ = await older.status()
            assert code is grpc.StatusCode.ABORTED
            (instance,) = link.parts.roster.instances.values()
            assert instance.state is InstanceState.CONNECTED
            rename(control.store, "wiki", "wiki2")
            await newer.take()

    asyncio.run(play())


def test_a_control_that_stops_says_so(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with AsyncExitStack() as stack:
            async with control.link() as link:
                edge = await stack.enter_async_context(outpost(link, given))
                await connected(edge)
                begun = time.monotonic()
            assert (await edge.status())[0] is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - begun < 5

    asyncio.run(play())


def test_numbers_and_words_that_no_database_holds_do_no_harm(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello(hostname="h\0" * 500, version="v" * 500, revision=2**64 - 1)
            await edge.take()
            for load in (float("nan"), float("inf")):
                await edge.health(workers=2**32 - 1, memory_bytes=2**64 - 1, load=load, last_error="bad\0" * 5000)
            roster = link.parts.roster
            await eventually(lambda: next(iter(roster.instances.values())).last_error != "")
            await roster.save()
            assert not link.failed.done()
        with control.store.read() as unit:
            (instance,) = unit.instances.of_outpost(deployed.outpost.id)
        assert (instance.hostname, instance.memory_bytes, instance.load) == ("h" * 255, 2**63 - 1, 0.0)

    asyncio.run(play())


def test_a_database_that_does_not_answer_is_said_without_details(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = control.enrol(deploy(control.store))

    def fail(*_: object) -> None:
        raise OperationalError("SELECT hunter2", {}, Exception("hunter2"))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            monkeypatch.setattr(control.store, "write", fail)
            await edge.hello()
            code, message = await edge.status()
            assert (code, "hunter2" in message) == (grpc.StatusCode.UNAVAILABLE, False)
            monkeypatch.undo()

    asyncio.run(play())
