"""The life of an instance as the database tells it: connected, failed, drained, lost, refused."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import grpc
import pytest

from control.domain.outpost import Drain, Instance, InstanceEvent, InstanceState
from control.fleet.instances import ask_drain, history
from control.fleet.tokens import revoke_token
from control.link.ledger import Batch
from control.link.roster import LOST
from control.link.server import Link
from tests.support.fleet import Deployed, deploy
from tests.support.links import Actress, Control, Credentials, eventually, outpost
from tests.support.stores import ADMIN

Story = Callable[[Actress], Awaitable[None]]


def shown(control: Control, deployed: Deployed) -> Instance:
    """The outpost's one instance in the database."""
    with control.store.read() as unit:
        (instance,) = unit.instances.of_outpost(deployed.outpost.id)
    return instance


def is_shown(control: Control, deployed: Deployed, **fields: object) -> bool:
    """Whether the database has one, with these fields."""
    with control.store.read() as unit:
        instances = unit.instances.of_outpost(deployed.outpost.id)
    return any(all(getattr(each, name) == value for name, value in fields.items()) for each in instances)


def told(control: Control, deployed: Deployed, uid: str) -> list[tuple[str, str]]:
    """Its history, the oldest first."""
    with control.store.read() as unit:
        events: tuple[InstanceEvent, ...] = history(unit, deployed.outpost, uid)
    return [(event.kind, event.detail) for event in sorted(events, key=lambda event: event.at)]


def wish(control: Control, deployed: Deployed, uid: str) -> Drain:
    with control.store.write(ADMIN) as unit:
        return ask_drain(unit, deployed.outpost, uid)


def wishes(control: Control) -> list[Drain]:
    with control.store.read() as unit:
        return unit.drains.all()


def lived(control: Control, deployed: Deployed, story: Story) -> list[tuple[str, str]]:
    """What is told of an instance that has connected and lived through the story."""
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.hello(protocol=2)
                await edge.take()
                control.clock.advance(seconds=1)
                await story(edge)
            await eventually(lambda: is_shown(control, deployed, state=InstanceState.DISCONNECTED))

    asyncio.run(play())
    return told(control, deployed, given.uid)


CONNECTED = ("connected", "version 0.1.0 from 127.0.0.1")


def test_an_instance_that_vanishes_is_lost(control: Control) -> None:
    deployed = deploy(control.store)

    async def vanish(_: Actress) -> None:
        pass

    assert lived(control, deployed, vanish) == [CONNECTED, ("disconnected", LOST)]
    assert shown(control, deployed).last_error == LOST


def test_an_instance_that_says_that_it_ends_is_shown_at_once_and_is_not_lost(control: Control) -> None:
    deployed = deploy(control.store)

    async def end(edge: Actress) -> None:
        await edge.health(draining=True, workers=1)
        await eventually(lambda: is_shown(control, deployed, state=InstanceState.DRAINING))
        # Beats go on meanwhile, and change nothing.
        await edge.health(draining=True, workers=0)
        await eventually(lambda: is_shown(control, deployed, workers=0))
        assert shown(control, deployed).state is InstanceState.DRAINING
        control.clock.advance(seconds=1)

    assert lived(control, deployed, end) == [CONNECTED, ("draining", ""), ("disconnected", "")]
    assert shown(control, deployed).last_error == ""


def test_an_error_and_its_end_are_told(control: Control) -> None:
    deployed = deploy(control.store)

    async def fail(edge: Actress) -> None:
        for error in ("the disk is full", "the disk is full", "no worker starts", ""):
            await edge.health(last_error=error, workers=1)
            await eventually(lambda error=error: is_shown(control, deployed, last_error=error))
            control.clock.advance(seconds=1)

    assert lived(control, deployed, fail) == [
        CONNECTED,
        ("failed", "the disk is full"),
        ("failed", "no worker starts"),
        ("recovered", "no worker starts"),
        ("disconnected", LOST),
    ]


def test_an_instance_of_the_first_protocol_is_not_called_lost(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.connect()
                control.clock.advance(seconds=1)
            await eventually(lambda: is_shown(control, deployed, state=InstanceState.DISCONNECTED))

    asyncio.run(play())
    assert told(control, deployed, given.uid) == [CONNECTED, ("disconnected", "")]


def test_why_an_instance_was_cut_is_told(control: Control) -> None:
    deployed = deploy(control.store)

    async def cut(edge: Actress) -> None:
        with control.store.write(ADMIN) as unit:
            revoke_token(unit, unit.tokens.get(deployed.token.id))
        await edge.status()

    reason = "the token the certificate was given for was revoked or replaced"
    assert lived(control, deployed, cut) == [CONNECTED, ("disconnected", reason)]


def test_another_connection_of_the_same_run_is_no_event(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    started = control.clock.now - timedelta(hours=1)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as older, outpost(link, given) as newer:
            await older.hello(started=started)
            await older.take()
            await newer.hello(started=started)
            await newer.take()
            await older.status()
            await link.parts.roster.save()
            assert told(control, deployed, given.uid) == [CONNECTED]

    asyncio.run(play())


def test_a_drain_is_passed_on_once_shown_and_forgotten(control: Control) -> None:
    deployed = deploy(control.store)

    async def drain(edge: Actress) -> None:
        await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
        wish(control, deployed, edge.uid)
        assert (await edge.hear()).command.WhichOneof("command") == "drain"
        # Sent, but not yet obeyed.
        assert shown(control, deployed).state is InstanceState.CONNECTED
        control.clock.advance(seconds=1)
        await edge.health(draining=True)
        await eventually(lambda: is_shown(control, deployed, state=InstanceState.DRAINING))
        assert len(wishes(control)) == 1
        wish(control, deployed, edge.uid)
        assert await edge.silent(0.3)
        control.clock.advance(seconds=1)

    assert lived(control, deployed, drain) == [CONNECTED, ("draining", ""), ("disconnected", "")]
    assert wishes(control) == []


def test_an_instance_of_the_first_protocol_drains_as_well(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.connect()
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
                wish(control, deployed, given.uid)
                assert (await edge.hear()).command.WhichOneof("command") == "drain"
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.DRAINING))
            await eventually(lambda: is_shown(control, deployed, state=InstanceState.DISCONNECTED))
            await eventually(lambda: wishes(control) == [])

    asyncio.run(play())


async def come(edge: Actress, now: datetime, age: timedelta, held: dict[str, str]) -> None:
    """Say Hello by a clock that shows `now`, of a run that began so long ago."""
    edge.held = held
    await edge.hello(protocol=2, clock=now, started=now - age)


async def is_told_to_drain(edge: Actress) -> bool:
    command: str | None = (await edge.hear()).command.WhichOneof("command")
    return command == "drain"


@pytest.mark.parametrize("skew", [timedelta(), timedelta(minutes=-9), timedelta(minutes=9)])
def test_an_instance_that_began_anew_is_not_drained_again(control: Control, skew: timedelta) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    just_now, a_while = timedelta(), timedelta(seconds=30)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await come(edge, control.clock.now + skew, just_now, {})
                await edge.take()
                held = edge.held
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
                control.clock.now += a_while
                wish(control, deployed, given.uid)
                assert await is_told_to_drain(edge)
            # The connection was lost before it could say that it drains. The same run is told again ...
            async with outpost(link, given) as edge:
                await come(edge, control.clock.now + skew, a_while, held)
                assert await is_told_to_drain(edge)
            # ... and the next run is not.
            control.clock.now += a_while
            async with outpost(link, given) as edge:
                await come(edge, control.clock.now + skew, just_now, held)
                assert await edge.silent(0.3)

    asyncio.run(play())


def test_a_wish_that_came_to_nothing_is_not_in_the_way_of_another(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            held: dict[str, str] = {}
            for _ in range(2):
                async with outpost(link, given) as edge:
                    await come(edge, control.clock.now, timedelta(), held)
                    if not held:
                        await edge.take()
                    held = edge.held
                    await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
                    control.clock.advance(seconds=1)
                    wish(control, deployed, given.uid)
                    assert await is_told_to_drain(edge)
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.DISCONNECTED))

    asyncio.run(play())


def test_a_wish_that_is_too_old_is_not_passed_on(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await edge.connect()
                held = edge.held
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
            wished = replace_asked(control, wish_unheard(control, deployed, given), timedelta(minutes=-11))
            async with outpost(link, given) as edge:
                edge.held = held
                await edge.hello()
                assert await edge.silent(0.3)
        assert wishes(control) == [wished]

    asyncio.run(play())


def wish_unheard(control: Control, deployed: Deployed, given: Credentials) -> Drain:
    """A wish of which the link isn't told."""
    with control.store.write(ADMIN) as unit:
        (instance,) = unit.instances.of_outpost(deployed.outpost.id)
        unit.instances.save([replace(instance, state=InstanceState.CONNECTED, last_seen=unit.now)])
        return ask_drain(unit, deployed.outpost, given.uid)


def replace_asked(control: Control, drain: Drain, by: timedelta) -> Drain:
    """The wish, as of another time."""
    with control.store.write(ADMIN) as unit:
        unit.drains.forget([drain.id])
        return unit.drains.add(replace(drain, asked=drain.asked + by))


OLD = "speaks version 0 of the link's protocol; this control serves 1 to 2: upgrade the outpost"


def test_who_speaks_another_protocol_is_listed_with_the_reason(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def call(edge: Actress) -> None:
        await edge.hello(protocol=0, version="0.0.9", hostname="attic")
        assert await edge.status() == (grpc.StatusCode.FAILED_PRECONDITION, OLD)

    async def play() -> None:
        async with control.link() as link:
            writes = counted_writes(link)
            for _ in range(20):
                async with outpost(link, given) as edge:
                    await call(edge)
                control.clock.advance(seconds=2)
                await asyncio.sleep(0.02)
            await eventually(lambda: is_shown(control, deployed, last_error=OLD))
            instance = shown(control, deployed)
            assert (instance.state, instance.protocol, instance.last_error) == (InstanceState.DISCONNECTED, 0, OLD)
            assert (instance.version, instance.hostname, instance.address) == ("0.0.9", "attic", "127.0.0.1")
            assert len(writes) == 1
            # Another minute, another look.
            control.clock.advance(minutes=1)
            async with outpost(link, given) as edge:
                await call(edge)
            await eventually(lambda: is_shown(control, deployed, last_seen=control.clock.now))
            # Once it is upgraded it is as any other.
            async with outpost(link, given) as edge:
                await edge.connect()
                await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
                assert shown(control, deployed).last_error == ""
                control.clock.advance(seconds=1)

    asyncio.run(play())
    assert told(control, deployed, given.uid)[:2] == [("refused", OLD), CONNECTED]


def counted_writes(link: Link) -> list[Batch]:
    """What each transaction of the roster writes from now on."""
    ledger, writes = link.parts.roster._ledger, list[Batch]()
    usual = ledger._write

    def write(batch: Batch) -> None:
        writes.append(batch)
        usual(batch)

    ledger._write = write  # type: ignore[method-assign]  # for this test's own link
    return writes


def test_a_copy_of_a_state_folder_harms_not_whom_it_was_copied_from(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge, outpost(link, given) as copy:
            await edge.connect()
            await eventually(lambda: is_shown(control, deployed, state=InstanceState.CONNECTED))
            await copy.hello(protocol=9)
            assert (await copy.status())[0] is grpc.StatusCode.FAILED_PRECONDITION
            await link.parts.roster.save()
            assert shown(control, deployed).state is InstanceState.CONNECTED

    asyncio.run(play())


def test_an_outpost_that_is_not_of_its_type_is_listed_too(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.hello(type="ldap")
            await edge.status()
            reason = "this outpost is of type proxy, not 'ldap'"
            await eventually(lambda: is_shown(control, deployed, last_error=reason))

    asyncio.run(play())
