"""An outpost of the last release, which speaks version 1 of the protocol, is served all it knows and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from control.domain.outpost import InstanceState
from control.fleet.instances import ask_drain
from control.fleet.rotation import rotate_token
from control.link.server import Link
from tests.support.fleet import Deployed, deploy
from tests.support.links import WAIT, Control, Credentials, channel, eventually, issued_session
from tests.support.released import knows_all, released
from tests.support.stores import ADMIN


class Elder:
    """An outpost of the last release, over raw bytes."""

    def __init__(self, opened: grpc.aio.Channel, uid: str) -> None:
        self._channel = opened
        self.uid = uid
        self.call = opened.stream_stream("/outpost.v1.Link/Watch", None, None)(None)
        self.held: dict[str, str] = {}

    async def say(self, **fields: Any) -> None:
        await self.call.write(released("WatchRequest")(**fields).SerializeToString())

    async def hear(self) -> Any:
        """What comes; nothing in it may be of a later version."""
        async with asyncio.timeout(WAIT):
            message = released("WatchResponse").FromString(await self.call.read())
        assert message.WhichOneof("message"), "it is told something that it doesn't know"
        assert knows_all(message)
        return message

    async def connect(self) -> None:
        hello = released("Hello")(
            instance=self.uid, type="proxy", hostname="attic", version="0.1.0", protocol=1, held=self.held, revision=0
        )
        hello.started.GetCurrentTime()
        hello.clock.GetCurrentTime()
        await self.say(hello=hello)

    async def take(self) -> Any:
        """Apply what is pushed."""
        config = (await self.hear()).config
        for data in config.resources:
            resource = released("Resource").FromString(data)
            assert resource.WhichOneof("body")
            self.held[resource.key] = resource.digest
        for key in config.removed:
            del self.held[key]
        await self.say(applied=released("Applied")(revision=config.revision))
        return config

    async def silent(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.call.read()
        except TimeoutError:
            return True
        return False

    async def ask(self, method: str, request: Any, answer: str) -> Any:
        """A call of a worker."""
        raw = await self._channel.unary_unary(f"/outpost.v1.Gate/{method}", None, None)(request.SerializeToString())
        return released(answer).FromString(raw)


@asynccontextmanager
async def elder(link: Link, given: Credentials) -> AsyncIterator[Elder]:
    async with channel(link, given) as opened:
        yield Elder(opened, given.uid)


def play(control: Control, deployed: Deployed, story: Callable[[Elder, Link], Awaitable[None]]) -> None:
    given = control.enrol(deployed)

    async def run() -> None:
        async with control.link() as link, elder(link, given) as outpost:
            await outpost.connect()
            await outpost.take()
            await story(outpost, link)

    asyncio.run(run())


def test_it_is_configured_reports_and_is_shown(control: Control) -> None:
    deployed = deploy(control.store)

    async def story(outpost: Elder, link: Link) -> None:
        provider = deployed.sites[0].provider
        assert set(outpost.held) == {"options", f"provider/{provider.id}"}
        with control.store.write(ADMIN) as unit:
            unit.proxy_providers.update(replace(provider, external_host="https://other.example.com"))
        assert len((await outpost.take()).resources) == 1
        await outpost.say(health=released("Health")(workers=3, last_error="the disk is full"))
        (key,) = link.parts.roster.instances
        await eventually(lambda: link.parts.roster.instances[key].workers == 3)
        instance = link.parts.roster.instances[key]
        assert (instance.state, instance.protocol, instance.version) == (InstanceState.CONNECTED, 1, "0.1.0")

    play(control, deployed, story)


def test_it_asks_for_sessions(control: Control) -> None:
    deployed = deploy(control.store)
    control.gatekeeper.answer = issued_session()

    async def story(outpost: Elder, _: Link) -> None:
        provider = str(deployed.sites[0].provider.id)
        request = released("RedeemCodeRequest")(
            provider=provider, code="c", redirect_uri="https://x/y", code_verifier="v"
        )
        answer = await outpost.ask("RedeemCode", request, "RedeemCodeResponse")
        assert answer.session.identity.username == "alice"
        await outpost.ask(
            "EndSession", released("EndSessionRequest")(provider=provider, session="x"), "EndSessionResponse"
        )

    play(control, deployed, story)


def test_it_is_told_of_no_token_that_it_could_not_take(control: Control) -> None:
    deployed = deploy(control.store)

    async def story(outpost: Elder, link: Link) -> None:
        with control.store.write(ADMIN) as unit:
            rotate_token(unit, deployed.outpost)
            revision = unit.revision()
        await eventually(lambda: link.parts.revisions.state.revision > revision)
        assert await outpost.silent(0.3)

    play(control, deployed, story)


def test_it_is_drained(control: Control) -> None:
    deployed = deploy(control.store)

    async def story(outpost: Elder, link: Link) -> None:
        await link.parts.roster.save()
        with control.store.write(ADMIN) as unit:
            ask_drain(unit, deployed.outpost, outpost.uid)
        assert (await outpost.hear()).command.WhichOneof("command") == "drain"

    play(control, deployed, story)
