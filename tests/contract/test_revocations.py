"""What ends or changes sessions reaches every connected outpost at once, and holds whatever happens to them."""

import http.client
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from control.auth import sessions
from control.auth.gatekeeper import Gatekeeper
from control.auth.sessions import Origin
from control.domain.identity import User
from control.domain.outpost import InstanceState
from control.store import Store, Unit
from dataplane.config import SessionKey
from dataplane.gate import Identity, ProxySession
from dataplane.protocols.proxy.cookies import Sealer, cookie_name, seal_session, split_token
from tests.support import builders
from tests.support.auth import ISSUER
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, Site, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import free_port
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes

OUTPOSTS = 3
AT_ONCE = 0.25


@dataclass
class RealClock(Clock):
    """One that goes on, and may be set wrong."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> RealClock:
    return RealClock()


@dataclass(frozen=True)
class Place:
    """An outpost of its own with one application, running."""

    deployed: Deployed
    outpost: OutpostProcess

    @property
    def site(self) -> Site:
        return self.deployed.sites[0]

    @property
    def host(self) -> str:
        return self.site.provider.external_host.removeprefix("https://")

    def ask(self, path: str, cookie: str, host: str = "") -> http.client.HTTPResponse:
        """What nginx is told, or a browser."""
        connection = http.client.HTTPConnection("127.0.0.1", self.outpost.http_port, timeout=30)
        host = host or self.host
        headers = {"Host": host, "X-Original-URL": f"https://{host}/", "X-Forwarded-Proto": "https", "Cookie": cookie}
        with closing(connection):
            connection.request("GET", f"/outpost.goauthentik.io/{path}", headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer

    def lets_in(self, cookie: str) -> bool:
        return self.ask("auth/nginx", cookie).status == 200


class World:
    """Control with a real gatekeeper, on a port that stays the same over restarts."""

    def __init__(self, store: Store, clock: Clock, wakes: Wakes, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._state = Control(store, clock, wakes, folder, port=free_port())
        self._state.gatekeeper = Gatekeeper(store, ISSUER)  # type: ignore[assignment]  # the real one
        self.places: list[Place] = []

    @contextmanager
    def control(self) -> Iterator[RealControl]:
        with RealControl(self._state).running() as running:
            yield running

    def deploy(self, count: int) -> list[Deployed]:
        return [deploy(self.store, f"edge-{number}", (f"app{number}",)) for number in range(count)]

    @contextmanager
    def running(self, control: RealControl, deployed: list[Deployed]) -> Iterator[list[Place]]:
        """Outposts, all ready and connected."""
        with ExitStack() as stack:
            places = []
            for each in deployed:
                folder = self.folder / each.outpost.name
                folder.mkdir()
                process = stack.enter_context(OutpostProcess(folder, control.environment(each)))
                places.append(Place(each, process))
            for place in places:
                place.outpost.ready()
                control.instance(place.deployed, state=InstanceState.CONNECTED)
            yield places

    def sign_in(self, name: str) -> tuple[User, UUID]:
        """Somebody who has signed in, with the sign-in's id."""
        with self.store.write(ADMIN) as unit:
            user = unit.users.add(builders.user(name, last_sign_in=unit.now))
            return user, sessions.open_session(unit, user.id, Origin()).sign_in.id

    def cookie(self, user: User, sign_in: UUID, site: Site) -> str:
        """A session at an application, as its outpost would have made it."""
        provider = site.provider
        with self.store.write(ADMIN) as unit:
            keys = unit.cookie_keys.of_provider(provider.id)
            authenticated = unit.moments.of_session().timestamp()
        identity = Identity(
            subject=str(user.id),
            username=user.username,
            name=user.name,
            email="",
            groups=(),
            entitlements=(),
            additional_headers=(),
        )
        session = ProxySession(
            id=str(sign_in),
            identity=identity,
            authenticated=authenticated,
            expires=time.time() + 3600,
            id_token="a.b.c",
        )
        sealer = Sealer(str(provider.id), [SessionKey(id=str(key.id), secret=key.secret) for key in keys], os.urandom)
        (token,) = split_token(seal_session(sealer, session))
        return f"{cookie_name(provider.client_id).decode()}={token.decode()}"

    def write(self, act: Callable[[Unit], object]) -> None:
        with self.store.write(ADMIN) as unit:
            act(unit)


@pytest.fixture
def world(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> World:
    return World(store, clock, wakes, tmp_path)


def seconds_until(condition: Callable[[], bool], what: str) -> float:
    begun = time.monotonic()
    eventually(condition, what)
    return time.monotonic() - begun


def test_who_is_locked_out_is_so_at_every_outpost_at_once(world: World) -> None:
    def take(number: int) -> float:
        user, sign_in = world.sign_in(f"user{number}")
        pairs = [(place, world.cookie(user, sign_in, place.site)) for place in places]
        assert all(place.lets_in(cookie) for place, cookie in pairs)
        world.write(lambda unit: unit.users.update(replace(user, active=False)))
        return seconds_until(lambda: not any(place.lets_in(cookie) for place, cookie in pairs), "nobody lets them in")

    with world.control() as control, world.running(control, world.deploy(OUTPOSTS)) as places:
        took = [take(number) for number in range(5)]
        assert min(took) < AT_ONCE, took


def test_who_is_renamed_is_so_at_every_outpost_at_once(world: World) -> None:
    def take(number: int) -> float:
        name = f"Alice the {number}th"
        world.write(lambda unit: unit.users.update(replace(unit.users.get(user.id), name=name)))
        return seconds_until(lambda: {called(*pair) for pair in pairs} == {name}, name)

    with world.control() as control, world.running(control, world.deploy(OUTPOSTS)) as places:
        user, sign_in = world.sign_in("alice")
        pairs = [(place, world.cookie(user, sign_in, place.site)) for place in places]
        took = [take(number) for number in range(5)]
        assert min(took) < AT_ONCE, took


def called(place: Place, cookie: str) -> str:
    """What the application is told of the person's name."""
    return place.ask("auth/nginx", cookie).getheader("X-authentik-name") or ""


def test_an_end_holds_over_partition_reconnect_and_restart(world: World) -> None:
    deployed = world.deploy(1)
    alice, hers = world.sign_in("alice")
    bob, his = world.sign_in("bob")
    carol, carols = world.sign_in("carol")
    site = deployed[0].sites[0]
    cookies = {
        user.username: world.cookie(user, sign_in, site)
        for user, sign_in in ((alice, hers), (bob, his), (carol, carols))
    }
    with ExitStack() as stack:
        with world.control() as control:
            (place,) = stack.enter_context(world.running(control, deployed))
            world.write(lambda unit: unit.users.update(replace(alice, active=False)))
            eventually(lambda: not place.lets_in(cookies["alice"]), "alice is out")
            eventually((place.outpost.state / "state").exists, "the state is saved")

        def who() -> set[str]:
            return {name for name, cookie in cookies.items() if place.lets_in(cookie)}

        # Control is away, and somebody is locked out meanwhile, of which the outpost can't know.
        world.write(lambda unit: unit.users.update(replace(bob, active=False)))
        assert who() == {"bob", "carol"}
        place.outpost.signal(signal.SIGTERM)
        assert place.outpost.wait() == 0
        place.outpost.start()
        place.outpost.ready()
        assert who() == {"bob", "carol"}
        with world.control() as control:
            eventually(lambda: who() == {"carol"}, "bob is out once control is back")
            control.instance(place.deployed, state=InstanceState.CONNECTED)
            place.outpost.signal(signal.SIGKILL)
            place.outpost.wait()
            place.outpost.start()
            place.outpost.ready()
            eventually(lambda: who() == {"carol"}, "the same after a crash")


def test_an_end_is_never_behind_a_refused_config(world: World) -> None:
    with world.control() as control, world.running(control, world.deploy(1)) as (place,):
        user, sign_in = world.sign_in("alice")
        cookie = world.cookie(user, sign_in, place.site)
        assert place.lets_in(cookie)

        def act(unit: Unit) -> None:
            # Both in one revision, and the one is refused.
            provider = unit.proxy_providers.get(place.site.provider.id)
            unit.proxy_providers.update(replace(provider, skip_path_regex="("))
            unit.users.update(replace(user, active=False))

        world.write(act)
        assert seconds_until(lambda: not place.lets_in(cookie), "alice is out") < 10
        instance = control.instance(place.deployed, applied_revision=revision(world))
        assert [each.key for each in instance.rejections] == [f"provider/{place.site.provider.id}"]


def revision(world: World) -> int:
    with world.store.read() as unit:
        return unit.revision()


def test_a_sign_out_that_waited_counts_though_its_provider_went_elsewhere(world: World) -> None:
    deployed = world.deploy(2)
    alice, sign_in = world.sign_in("alice")
    moved = deployed[0].sites[0]
    cookie = world.cookie(alice, sign_in, moved)
    with ExitStack() as stack:
        with world.control() as control:
            first, second = stack.enter_context(world.running(control, deployed))
            assert first.lets_in(cookie)
        assert first.ask("sign_out", cookie).status == 302
        assert not first.lets_in(cookie)

        def move(unit: Unit) -> None:
            for place, providers in ((first, frozenset[UUID]()), (second, frozenset({moved.provider.id}))):
                outpost = unit.outposts.get(place.deployed.outpost.id)
                unit.outposts.update(replace(outpost, providers=providers))

        world.write(move)
        with world.control():
            eventually(lambda: not find_sign_in(world, sign_in), "control has ended the sign-in")
            host = moved.provider.external_host.removeprefix("https://")
            eventually(lambda: second.ask("auth/nginx", cookie, host).status == 401, "the other outpost knows")


def find_sign_in(world: World, sign_in: UUID) -> bool:
    with world.store.read() as unit:
        return unit.sign_ins.find(sign_in) is not None


def test_a_clock_that_was_set_back_lets_nobody_in_again(world: World, clock: RealClock) -> None:
    with world.control() as control, world.running(control, world.deploy(1)) as (place,):
        user, sign_in = world.sign_in("alice")
        cookie = world.cookie(user, sign_in, place.site)
        assert place.lets_in(cookie)
        clock.ahead = timedelta(minutes=-10)
        world.write(lambda unit: unit.users.update(replace(user, active=False)))
        eventually(lambda: not place.lets_in(cookie), "alice is out")
        world.write(lambda unit: unit.users.update(replace(unit.users.get(user.id), active=True)))
        again = world.cookie(user, uuid4(), place.site)
        eventually(lambda: place.lets_in(again), "a new session is not ended by the old end")
        assert not place.lets_in(cookie)
