"""Link.Watch: who is not admitted, who is cut, and what each is told."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy.exc import OperationalError

from control.fleet.authority import Client, issue_client
from control.fleet.outposts import update_outpost
from control.fleet.tokens import replace_token, revoke_token
from control.link.limits import Limits
from control.link.revisions import Revisions
from control.link.state import State
from control.store import Unit
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control, Credentials, outpost
from tests.support.stores import ADMIN


def refused_hello(control: Control, deployed: Deployed, **fields: Any) -> tuple[grpc.StatusCode, str]:
    """How a stream ends that begins with such a Hello."""
    given = control.enrol(deployed)

    async def play() -> tuple[grpc.StatusCode, str]:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(**fields)
            return await edge.status()

    return asyncio.run(play())


def test_a_protocol_that_is_not_served(control: Control) -> None:
    told = "speaks version 7 of the link's protocol; this control serves 1 to 2: upgrade control"
    assert refused_hello(control, deploy(control.store), protocol=7) == (grpc.StatusCode.FAILED_PRECONDITION, told)


def test_a_type_that_is_not_the_outposts(control: Control) -> None:
    code, message = refused_hello(control, deploy(control.store), type="ldap")
    assert (code, "'ldap'" in message) == (grpc.StatusCode.FAILED_PRECONDITION, True)


def test_an_instance_that_is_not_the_certificates(control: Control) -> None:
    code, _ = refused_hello(control, deploy(control.store), instance="somebody-else")
    assert code is grpc.StatusCode.PERMISSION_DENIED


def test_more_than_anyone_can_hold(control: Control) -> None:
    # The options and a provider are to be held, and four times as many may.
    control.limits = Limits(held=3)
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(held={str(number): "1" for number in range(6)}, continued=True)
            await edge.more_held({"c": "1", "d": "1", "e": "1"}, last=False)
            code, message = await edge.status()
            assert (code, "8 resources" in message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(held={str(number): "1" for number in range(9)})
            assert (await edge.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(play())


def test_a_stream_that_does_not_begin_with_hello(control: Control) -> None:
    given = control.enrol(deploy(control.store))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.health(workers=1)
            code, message = await edge.status()
            assert (code, message) == (grpc.StatusCode.INVALID_ARGUMENT, "expected Hello first")

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


def enrolled_before(control: Control, cut: Callable[[Unit, Deployed], None]) -> Credentials:
    """What an outpost got for its token before it lost that."""
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    with control.store.write(ADMIN) as unit:
        cut(unit, deployed)
    return given


@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_who_lost_its_token_is_not_admitted(
    control: Control, cut: Callable[[Unit, Deployed], None], words: str
) -> None:
    given = enrolled_before(control, cut)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello()
            code, message = await edge.status()
            assert (code, words in message) == (grpc.StatusCode.UNAUTHENTICATED, True), message

    asyncio.run(play())


def test_a_refusal_waits_for_the_hello(control: Control) -> None:
    """It would be hidden from whoever is still writing that (grpc/grpc#36066)."""
    given = enrolled_before(control, revoke)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await edge.call.code()
            await edge.hello()
            assert (await edge.status())[0] is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(play())


def test_hellos_that_are_refused_are_counted_too(control: Control) -> None:
    given = enrolled_before(control, revoke)
    control.limits = Limits(hellos=2)

    async def play() -> list[grpc.StatusCode]:
        codes = []
        async with control.link() as link:
            for _ in range(3):
                async with outpost(link, given) as edge:
                    await edge.hello()
                    codes.append((await edge.status())[0])
        return codes

    refused, exhausted = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED
    assert asyncio.run(play()) == [refused, refused, exhausted]


@pytest.mark.parametrize("woken", [True, False])
@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_who_loses_its_token_is_cut_at_once(
    control: Control, cut: Callable[[Unit, Deployed], None], words: str, *, woken: bool
) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            control.sends_wakes = woken
            with control.store.write(ADMIN) as unit:
                cut(unit, deployed)
            begun = time.monotonic()
            code, message = await edge.status()
            assert (code, words in message) == (grpc.StatusCode.UNAUTHENTICATED, True), message
            assert time.monotonic() - begun < 20

    asyncio.run(play())


def test_an_instance_is_cut_when_its_outpost_becomes_one_of_another_type(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            with control.store.write(ADMIN) as unit:
                update_outpost(unit, unit.outposts.get(deployed.outpost.id), {"type": "ldap", "providers": []})
            code, message = await edge.status()
            assert code is grpc.StatusCode.FAILED_PRECONDITION, message
            assert message == "this outpost is of type ldap, not 'proxy'"

    asyncio.run(play())


def test_a_token_that_runs_out_cuts_though_nobody_commits(control: Control) -> None:
    deployed = deploy(control.store)
    given = control.enrol(deployed)
    with control.store.write(ADMIN) as unit:
        expires = unit.now + timedelta(minutes=5)
        unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=expires))

    async def play() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.connect()
            control.clock.advance(minutes=5)
            code, message = await edge.status()
            assert (code, "expired" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)

    asyncio.run(play())


def test_a_database_that_does_not_answer_is_said_without_details(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = control.enrol(deploy(control.store))

    def fail(*_: object) -> None:
        raise OperationalError("SELECT hunter2", {}, Exception("hunter2"))

    async def play() -> None:
        async with control.link() as link, outpost(link, unknown_token(control, given)) as edge:
            monkeypatch.setattr(control.store, "read", fail)
            await edge.hello()
            code, message = await edge.status()
            assert (code, "hunter2" in message) == (grpc.StatusCode.UNAVAILABLE, False)
            monkeypatch.undo()

    asyncio.run(play())


def unknown_token(control: Control, given: Credentials) -> Credentials:
    """A certificate for a token that memory does not know, so that the database is asked."""
    key = load_pem_private_key(given.key, None).public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    with control.store.read() as unit:
        client = Client(outpost=unit.outposts.all()[0].id, instance=given.uid, token=uuid4())
        certificate = issue_client(unit.authorities.all()[0], key, client, unit.now)
    return replace(given, certificate=certificate.encode())


def test_a_token_ends_at_its_moment_also_when_that_comes_while_the_facts_are_read(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = deploy(control.store)
    with control.store.write(ADMIN) as unit:
        expires = unit.now + timedelta(minutes=5)
        unit.tokens.update(replace(unit.tokens.get(deployed.token.id), expires=expires))

    async def play() -> None:
        revisions = Revisions(control.store, "http://localhost:9000", control.clock)
        compute = revisions._compute

        def slowly(*, anew: bool) -> State:
            state = compute(anew=anew)
            control.clock.advance(minutes=5)
            return state

        monkeypatch.setattr(revisions, "_compute", slowly)
        await revisions.load()
        assert await revisions._is_stale()
        revisions.close()

    asyncio.run(play())
