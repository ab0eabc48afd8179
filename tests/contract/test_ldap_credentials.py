"""Binds and new passwords as an LDAP outpost asks for them and as control decides: over real gRPC, with real hashes."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control.auth import people
from control.auth.gatekeeper import Gatekeeper
from control.link.server import serving
from control.store import Store
from dataplane import gate
from dataplane.link import questions
from tests.support.auth import ISSUER, PASSWORD, World, cheap_passwords, make_world
from tests.support.fleet import Deployed, deploy_ldap
from tests.support.links import Actress, Control, outpost
from tests.support.stores import ADMIN, Clock, Wakes

SECRET = {"salary": 7, "additionalHeaders": {"X-Team": "blue"}}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def control(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Control:
    return Control(store, clock, wakes, tmp_path)


@pytest.fixture
def world(store: Store) -> World:
    found = make_world(store)
    with store.write(ADMIN) as unit:
        people.update_user(unit, replace(found.alice, attributes=SECRET))
    return found


@pytest.fixture
def deployed(store: Store) -> Deployed:
    return deploy_ldap(store)


def played(
    control: Control, world: World, deployed: Deployed, story: Callable[[Actress], Coroutine[Any, Any, None]]
) -> None:
    """The story, with control's own gatekeeper behind the link."""
    gatekeeper, given = Gatekeeper(world.store, ISSUER, cheap_passwords()), control.enrol(deployed)

    async def play() -> None:
        async with (
            serving(control.store, gatekeeper, control.settings, control.clock) as link,
            outpost(link, given) as edge,
        ):
            await story(edge)

    asyncio.run(play())


async def bind(edge: Actress, deployed: Deployed, username: str, password: str = PASSWORD) -> gate.Answer:
    attempt = gate.Attempt(
        provider=str(next(iter(deployed.outpost.providers))),
        channel=gate.Channel.LDAP,
        credentials=gate.PasswordCredentials(username=username, password=password),
        client_address="198.51.100.7",
    )
    return questions.answer(await edge.gate.Authenticate(questions.authenticate_request(attempt)))


async def change(edge: Actress, deployed: Deployed, present: str, wanted: str | None) -> gate.PasswordAnswer:
    wish = gate.PasswordChange(
        provider=str(next(iter(deployed.outpost.providers))),
        channel=gate.Channel.LDAP,
        username="alice",
        present=present,
        wanted=wanted,
        client_address="198.51.100.7",
    )
    return questions.password_answer(await edge.gate.ChangePassword(questions.change_request(wish)))


def test_a_bind_tells_who_it_is_and_nothing_of_attributes(control: Control, world: World, deployed: Deployed) -> None:
    async def story(edge: Actress) -> None:
        answer = await bind(edge, deployed, "alice")
        assert isinstance(answer, gate.Allowed)
        assert (answer.session.identity.username, answer.session.identity.subject) == ("alice", str(world.alice.id))
        assert (answer.session.id_token, json.loads(answer.attributes), answer.cache) == ("", {}, 600)
        assert answer.session.expires == pytest.approx(answer.session.authenticated + 86_400, abs=1)
        assert not answer.session.identity.additional_headers
        for username, password in (("alice", "wrong"), ("nobody", PASSWORD)):
            assert await bind(edge, deployed, username, password) == gate.Denied(
                reason=gate.DenyReason.INVALID_CREDENTIALS
            )

    played(control, world, deployed, story)


def test_a_password_is_changed_and_the_old_one_is_none(control: Control, world: World, deployed: Deployed) -> None:
    async def story(edge: Actress) -> None:
        refusal = gate.PasswordRefusal
        assert await change(edge, deployed, "wrong", "another-password") is refusal.INVALID_CREDENTIALS
        assert await change(edge, deployed, PASSWORD, "short") is refusal.UNSUITABLE
        assert await change(edge, deployed, PASSWORD, "another-password") == gate.PasswordChanged()
        assert isinstance(await bind(edge, deployed, "alice"), gate.Denied)
        assert isinstance(await bind(edge, deployed, "alice", "another-password"), gate.Allowed)
        made = await change(edge, deployed, "another-password", None)
        assert isinstance(made, gate.PasswordChanged)
        assert isinstance(await bind(edge, deployed, "alice", made.generated), gate.Allowed)

    played(control, world, deployed, story)
