"""Link.Watch over real gRPC, mutual TLS and a real database: the test plays the outposts."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest

from control.domain.outpost import InstanceState
from control.link.limits import Limits
from control.link.server import Link
from control.store import Store
from protos.outpost.v1 import link_pb2, resources_pb2
from tests.support.fleet import add_site, deploy
from tests.support.links import Control, Credentials, eventually, outpost
from tests.support.stores import ADMIN


def rename(store: Store, name: str, new: str) -> int:
    """Change a provider as an admin would; the revision it made."""
    with store.write(ADMIN) as unit:
        provider = unit.proxy_providers.get_named(name)
        unit.proxy_providers.update(replace(provider, external_host=f"https://{new}.example.com"))
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
            took = []
            for number in range(5):
                before = time.monotonic()
                revision = rename(control.store, "wiki", f"wiki{number}")
                config = await edge.take()
                assert config.revision == revision
                took.append(time.monotonic() - before)
            assert min(took) < 0.25

    asyncio.run(play())


def test_what_is_held_is_not_sent_again(control: Control) -> None:
    deployed = deploy(control.store, sites=("wiki", "blog"))
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
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


def test_a_hello_may_come_in_parts(control: Control) -> None:
    deployed = deploy(control.store, sites=("wiki", "blog"))
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            held = dict(edge.held)
        (options, wiki, blog) = sorted(held)
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(held={options: held[options]}, continued=True)
            await edge.more_held({wiki: held[wiki]}, last=False)
            await edge.more_held({blog: held[blog], "too-much": "d"}, last=True)
            edge.held = {**held, "too-much": "d"}
            (config,) = await edge.config()
            assert (len(config.resources), list(config.removed)) == (0, ["too-much"])
            # And so may a later one on the same stream.
            await edge.applied(config.revision)
            await edge.hello(held={options: held[options]}, continued=True)
            await edge.more_held({wiki: held[wiki]}, last=True)
            (config,) = await edge.config()
            assert [resources_pb2.Resource.FromString(data).key for data in config.resources] == [blog]

    asyncio.run(play())


def test_digests_may_go_in_parts(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.fleet.options.SHORTEST_REFRESH", timedelta())
    monkeypatch.setattr("control.link.translate.PART_ENTRIES", 2)
    deployed = deploy(control.store, sites=("wiki", "blog"), config={"refresh_interval": "milliseconds=200"})

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.connect()
            parts = [(await edge.hear()).digests, (await edge.hear()).digests]
            assert [part.continued for part in parts] == [True, False]
            assert {**parts[0].wanted, **parts[1].wanted} == edge.held

    asyncio.run(play())


def test_a_restarted_control_sends_nothing_when_all_is_held(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            held = dict(edge.held)
        async with control.link() as link, outpost(link, given) as edge:
            edge.held = held
            await edge.hello(revision=1)
            await eventually(lambda: is_up_to_date(link))
            assert await edge.silent(0.4)
            assert is_up_to_date(link)

    asyncio.run(play())


def is_up_to_date(link: Link) -> bool:
    """Whether the one instance there is has come, and holds the newest."""
    (instance,) = link.parts.roster.instances.values()
    revisions = {instance.applied_revision, instance.wanted_revision}
    return instance.state is InstanceState.CONNECTED and revisions == {link.parts.revisions.state.revision}


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
            await edge.connect()
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
            await one.connect()
            await other.connect()
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
            await edge.connect()
            control.sends_wakes = False
            begun = time.monotonic()
            rename(control.store, "wiki", "wiki2")
            await edge.take()
            assert time.monotonic() - begun < 20

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
            await edge.connect()
            heard = await edge.hear()
            assert dict(heard.digests.wanted) == edge.held
            # One that has drifted says Hello again and gets what it lacks.
            lost = edge.held.pop("options")
            await edge.hello()
            await edge.take()
            assert edge.held["options"] == lost

    asyncio.run(play())


def test_the_newer_stream_of_an_instance_takes_over(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as older, outpost(link, given) as newer:
            await older.connect()
            await newer.connect()
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
                await edge.connect()
                begun = time.monotonic()
            assert (await edge.status())[0] is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - begun < 20

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
        assert instance.hostname == ("h\N{REPLACEMENT CHARACTER}" * 128)[:255]
        assert (instance.memory_bytes, instance.load) == (2**63 - 1, 0.0)

    asyncio.run(play())


def test_a_storm_of_outposts_that_come_back_is_not_shed(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    crowd = [given] * 600
    control.limits = Limits(streams_of_instance=len(crowd), hellos=len(crowd))

    async def come_back(link: Link, one: Credentials) -> None:
        async with outpost(link, one) as edge:
            await edge.hello(protocol=99)
            assert (await edge.status())[0] is grpc.StatusCode.FAILED_PRECONDITION

    async def play() -> None:
        async with control.link() as link:
            await asyncio.gather(*(come_back(link, one) for one in crowd))
            value = link.parts.metrics.registry.get_sample_value
            assert value("garrison_link_refused_total", {"reason": "protocol"}) == len(crowd)

    asyncio.run(play())
