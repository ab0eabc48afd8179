"""Link.Watch over real gRPC, mutual TLS and a real database: the test plays the outposts."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest

from control.domain.outpost import InstanceState
from control.fleet.tokens import replace_token, revoke_token
from control.store import Store
from protos.outpost.v1 import link_pb2
from tests.support.fleet import add_site, deploy
from tests.support.links import Control, eventually, outpost
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
                print("TIMING", time.monotonic() - before)
                await asyncio.sleep(0.1)

    asyncio.run(play())
