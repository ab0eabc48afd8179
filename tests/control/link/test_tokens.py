"""New tokens over the link: who is sent one, how often, and who must never be."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import grpc
import pytest

from control.auth.gatekeeper import Redemption
from control.domain.grant import IssuedSession, Refusal
from control.domain.outpost import Instance, Token
from control.fleet.rotation import retire_tokens, rotate_token, token_status
from control.fleet.tokens import fingerprint, get_token, replace_token, revoke_token
from control.link import translate
from control.link.caller import Objection, refused
from control.link.housekeeping import clean_up
from control.link.messages import Push
from control.store import Actor
from protos.outpost.v1 import gate_pb2, link_pb2
from tests.support.fleet import Deployed, add_site, deploy
from tests.support.links import WAIT, Actress, Control, FakeGatekeeper, eventually, outpost
from tests.support.stores import ADMIN


def rotate(control: Control, deployed: Deployed) -> Token:
    with control.store.write(ADMIN) as unit:
        return rotate_token(unit, deployed.outpost)


async def connect(edge: Actress, deployed: Deployed, **fields: Any) -> None:
    """Say Hello as an instance of today would, and take the configuration."""
    own = {"protocol": 2, "environment_token": deployed.token.fingerprint}
    await edge.hello(**{**own, **fields})
    await edge.take()


async def sent_token(edge: Actress) -> str:
    """The new token that comes next."""
    heard = await edge.hear()
    assert heard.command.WhichOneof("command") == "new_token", heard
    return heard.command.new_token.secret


async def keeps(edge: Actress, secret: str) -> None:
    """The instance says that it has put the token into its state."""
    held = link_pb2.TokenHeld(fingerprint=fingerprint(secret))
    await edge.say(link_pb2.WatchRequest(token_held=held))


def instances(control: Control, deployed: Deployed) -> list[Instance]:
    with control.store.read() as unit:
        return unit.instances.of_outpost(deployed.outpost.id)


def test_a_new_token_is_sent_to_each_who_is_connected_once(control: Control) -> None:
    deployed, other = deploy(control.store), deploy(control.store, "west", ("blog",))

    async def play() -> None:
        async with (
            control.link() as link,
            outpost(link, control.enrol(deployed)) as east,
            outpost(link, control.enrol(deployed)) as second,
            outpost(link, control.enrol(other)) as west,
        ):
            for edge, of in ((east, deployed), (second, deployed), (west, other)):
                await connect(edge, of)
            token = rotate(control, deployed)
            assert {await sent_token(east), await sent_token(second)} == {token.secret}
            with control.store.write(ADMIN) as unit:
                add_site(unit, "more")
            assert await west.silent(0.4)
            assert await east.silent(0.1)

    asyncio.run(play())


def test_one_token_after_the_other(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connect(edge, deployed)
            for _ in range(3):
                token = rotate(control, deployed)
                assert await sent_token(edge) == token.secret
                await keeps(edge, token.secret)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("environment", "held", "is_sent"),
    [
        ("old", "", True),
        ("old", "old", True),
        ("new", "", False),
        ("old", "new", False),
        ("new", "old", False),
        ("", "", True),
    ],
)
def test_who_comes_back_is_sent_what_it_lacks(control: Control, environment: str, held: str, *, is_sent: bool) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    token = rotate(control, deployed)
    names = {"": "", "old": deployed.token.fingerprint, "new": token.fingerprint}

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(protocol=2, environment_token=names[environment], held_token=names[held])
            heard = await edge.hear()
            assert (heard.command.new_token.secret == token.secret) == is_sent

    asyncio.run(play())


def test_what_is_held_is_known_and_no_holdout_any_more(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connect(edge, deployed)
            token = rotate(control, deployed)
            await keeps(edge, await sent_token(edge))
            await eventually(lambda: [each.held_token for each in instances(control, deployed)] == [token.fingerprint])
            with control.store.read() as unit:
                assert [each.uid for each in token_status(unit, deployed.outpost).holdouts] == [edge.uid]

    asyncio.run(play())


def test_an_older_version_is_never_sent_a_token_and_known_by_that_of_its_certificate(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await edge.connect()
            rotate(control, deployed)
            assert await edge.silent(0.4)
            await eventually(lambda: bool(instances(control, deployed)))
            (instance,) = instances(control, deployed)
            assert instance.environment_token == deployed.token.fingerprint

    asyncio.run(play())


def test_who_has_a_token_that_leaked_is_not_sent_its_replacement(control: Control) -> None:
    """The attack: a thief connects with the leaked token and waits for the new one."""
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as thief:
            await connect(thief, deployed)
            with control.store.write(ADMIN) as unit:
                replace_token(unit, deployed.outpost)
            code, message = await thief.status()
            assert (code, "revoked or replaced" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)
            assert await everything(thief) == []

    asyncio.run(play())


async def everything(edge: Actress) -> list[object]:
    """What was sent and not read yet."""
    heard: list[object] = []
    try:
        async with asyncio.timeout(WAIT):
            while isinstance(message := await edge.call.read(), link_pb2.WatchResponse):
                heard.append(message)
    except grpc.aio.AioRpcError:
        pass
    return heard


def test_who_is_cut_is_sent_nothing_of_the_state_that_cuts_it(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connect(edge, deployed)
            with control.store.write(ADMIN) as unit:
                revoke_token(unit, unit.tokens.get(deployed.token.id))
                site = add_site(unit, "new")
                known = unit.outposts.get(deployed.outpost.id)
                unit.outposts.update(replace(known, providers=known.providers | {site.provider.id}))
            assert (await edge.status())[0] is grpc.StatusCode.UNAUTHENTICATED
            assert await everything(edge) == []

    asyncio.run(play())


def test_a_retired_token_cuts_at_once_and_the_new_one_brings_back(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link:
            async with outpost(link, given) as edge:
                await connect(edge, deployed)
                token = rotate(control, deployed)
                await keeps(edge, await sent_token(edge))
                with control.store.write(ADMIN) as unit:
                    retire_tokens(unit, deployed.outpost)
                begun = time.monotonic()
                assert (await edge.status())[0] is grpc.StatusCode.UNAUTHENTICATED
                assert time.monotonic() - begun < 20
            renewed = control.enrol(Deployed(outpost=deployed.outpost, token=token), uid=given.uid)
            async with outpost(link, renewed) as edge:
                await connect(edge, deployed, held_token=token.fingerprint)

    asyncio.run(play())


def test_a_token_that_expires_is_not_pushed_though_it_is_the_newest(control: Control) -> None:
    deployed = deploy(control.store)

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            token = rotate(control, deployed)
            with control.store.write(ADMIN) as unit:
                unit.tokens.update(replace(token, expires=unit.now + timedelta(minutes=5)))
            control.clock.advance(minutes=5)
            await connect(edge, deployed)
            assert await edge.silent(0.3)
            with control.store.read() as unit:
                assert get_token(unit, deployed.outpost).id == deployed.token.id

    asyncio.run(play())


def test_the_schedule_runs_with_the_housekeeping(control: Control) -> None:
    deployed = deploy(control.store, config={"garrison_token_rotation": "hours=2"})

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connect(edge, deployed)
            control.clock.advance(hours=2)
            await clean_up(control.store, link.parts.revisions, link.parts.roster, link.credentials)
            secret = await sent_token(edge)
            with control.store.read() as unit:
                assert get_token(unit, deployed.outpost).secret == secret
                assert [each.actor for each in unit.audit.all() if each.action == "token rotated"] == ["system"]

    asyncio.run(play())


def test_no_token_is_logged(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deployed = deploy(control.store)
    secrets = [deployed.token.secret]

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            await connect(edge, deployed)
            secrets.append(rotate(control, deployed).secret)
            await keeps(edge, await sent_token(edge))
            with control.store.write(ADMIN) as unit:
                secrets.append(replace_token(unit, deployed.outpost).secret)
            await edge.status()

    asyncio.run(play())
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "an outpost is sent its new token" in logged
    assert [secret for secret in secrets if secret in logged] == []


class SlowGatekeeper(FakeGatekeeper):
    """One that thinks until it is told to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.thinks = Event()
        self.goes_on = Event()

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        self.thinks.set()
        assert self.goes_on.wait(10)
        return super().redeem_code(caller, redemption)


def test_a_call_that_is_open_when_the_token_is_revoked_is_cut_at_once(control: Control) -> None:
    deployed = deploy(control.store)
    control.gatekeeper = slow = SlowGatekeeper()

    async def play() -> None:
        async with control.link() as link, outpost(link, control.enrol(deployed)) as edge:
            provider = str(deployed.sites[0].provider.id)
            call = asyncio.ensure_future(_redeem(edge, provider))
            await eventually(slow.thinks.is_set)
            with control.store.write(ADMIN) as unit:
                revoke_token(unit, unit.tokens.get(deployed.token.id))
            begun = time.monotonic()
            try:
                assert await call is grpc.StatusCode.UNAUTHENTICATED
                assert time.monotonic() - begun < 20
            finally:
                slow.goes_on.set()

    asyncio.run(play())


async def _redeem(edge: Actress, provider: str) -> grpc.StatusCode:
    try:
        await edge.gate.RedeemCode(gate_pb2.RedeemCodeRequest(provider=provider, code="c0de"))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_who_is_cut_during_the_first_push_is_told_so(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    given = control.enrol(deploy(control.store))
    parts = translate.config_parts

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:

            def cut_meanwhile(push: Push[translate.Encoded]) -> Iterator[link_pb2.WatchResponse]:
                (stream,) = link.parts.watch._streams.values()
                stream.end(refused(Objection.REVOKED_TOKEN))
                yield from parts(push)

            monkeypatch.setattr(translate, "config_parts", cut_meanwhile)
            await edge.hello()
            with pytest.raises(grpc.aio.AioRpcError) as error:
                async with asyncio.timeout(WAIT):
                    while await edge.call.read():
                        pass
            assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(play())
