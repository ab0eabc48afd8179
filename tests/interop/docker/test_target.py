"""The whole life of a deployment on a real engine, behind a proxy that refuses all calls but those control may make."""
# long: what each action may meet, on one engine and by its few pieces

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.engine import Engine as Connected
from control.integrations.docker.target import DockerTarget
from control.integrations.model import (
    ActionFailed,
    Cancelled,
    Change,
    Condition,
    Create,
    Found,
    Remove,
    Replace,
    Revive,
    TargetAway,
    Wanted,
)
from control.integrations.plan import plan
from control.integrations.reconcile import reconcile
from tests.support.engine import Engine
from tests.support.engine_proxy import NARROW, WIDE, EngineProxy, engine_proxy
from tests.support.engine_wanted import QUICK, Ear, owner_and_name, wanted_container
from tests.support.peers_program import free_port

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("tiny_images")]
_MAPPED = "{port}:9000/tcp"
BOTH = pytest.mark.parametrize("bench", ["narrow", "wide"], indirect=True)


@dataclass(kw_only=True)
class Bench:
    """A target behind a proxy, and the engine's own command line beside it."""

    engine: Engine
    proxy: EngineProxy
    connected: Connected
    ready: set[str]

    @property
    def target(self) -> DockerTarget:
        return DockerTarget(self.connected, self.ready.__contains__)

    def bring(self, *wanted: Wanted, owner: UUID, ear: Ear | None = None) -> list[str]:
        """Reconcile, and what was done by name of the action; raises what failed."""
        outcome = reconcile(self.target, wanted, frozenset({owner}), ear or Ear())
        for failure in outcome.failed:
            raise ActionFailed(failure.code, failure.detail, restored=failure.restored)
        assert plan(wanted, self.look(owner), can_run_beside=self.target.can_run_beside) == ()
        return [type(action).__name__ for action in outcome.applied]

    def look(self, owner: UUID) -> tuple[Found, ...]:
        return self.target.observe(frozenset({owner}))

    def names(self, owner: UUID) -> list[str]:
        told = self.engine.run(
            "docker", "ps", "--all", "--filter", f"label=io.goauthentik.outpost-uuid={owner}", "--format", "{{.Names}}"
        )
        return sorted(told.split())


@pytest.fixture
def bench(request: pytest.FixtureRequest, engine: Engine, engine_socket: Path, folder: Path) -> Iterator[Bench]:
    """With the five permissions alone; where that makes a difference, also with all that is of use."""
    allowed = WIDE if getattr(request, "param", "") == "wide" else NARROW
    with (
        engine_proxy(folder, str(engine_socket), allowed) as proxy,
        connect(Connection(url=proxy.url), QUICK) as connected,
    ):
        yield Bench(engine=engine, proxy=proxy, connected=connected, ready=set())
        # Nothing else was even tried: what isn't allowed was asked for once, to know.
        assert {path for _, path in proxy.refused} <= {"/containers/_nobody/rename", "/events", "/version"}


@pytest.fixture
def outpost(engine: Engine) -> Iterator[tuple[UUID, str]]:
    """An outpost of the test's own; whatever is left of it goes at the end."""
    owner, name = owner_and_name()
    yield owner, name
    left = engine.run("docker", "ps", "-aq", "--filter", f"label=io.goauthentik.outpost-uuid={owner}").split()
    if left:
        engine.run("docker", "rm", "-fv", *left)


def test_what_was_made_is_what_was_wanted(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    port = free_port()
    wanted = wanted_container(
        owner, name, labels={"traefik.enable": "true"}, ports=(f"{port}:9000/tcp",), network="bridge"
    )
    ear = Ear()

    assert bench.bring(wanted, owner=owner, ear=ear) == ["Create"]

    (found,) = bench.look(owner)
    assert (found.name, found.condition, found.fingerprint) == (name, Condition.RUNNING, wanted.fingerprint)
    assert found.spec["image"] == "well:1"
    assert found.spec["ports"] == [f"{port}:9000/tcp"]
    assert ear.codes == ["waiting_healthy", "healthy"]
    host = bench.engine.inspect(name)["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert bench.bring(wanted, owner=owner) == []
    # The token is in its environment and nowhere else.
    seen = bench.engine.inspect(name)
    assert "AUTHENTIK_TOKEN=a-token-of-tests" in seen["Config"].pop("Env")
    assert "a-token-of-tests" not in json.dumps(seen)
    assert "a-token-of-tests" not in repr(bench.look(owner)) + repr(ear.said)


# Beside; aside, since ports can't be had twice; and anew, since nothing may be renamed: then ports make no difference.
@pytest.mark.parametrize(
    ("bench", "ports"), [("wide", ()), ("wide", (_MAPPED,)), ("narrow", (_MAPPED,))], indirect=["bench"]
)
def test_another_image_takes_the_place_of_the_old_one(
    bench: Bench, outpost: tuple[UUID, str], ports: tuple[str, ...]
) -> None:
    """Where both can run at once, the old one is asked to end only after the new one was started."""
    owner, name = outpost
    mapped = tuple(each.format(port=free_port()) for each in ports)
    bench.bring(wanted_container(owner, name, ports=mapped), owner=owner)
    (old,) = bench.look(owner)
    bench.proxy.passed.clear()

    assert bench.bring(wanted_container(owner, name, "well:2", ports=mapped), owner=owner) == ["Replace"]

    (new,) = bench.look(owner)
    assert new.id != old.id
    assert (new.name, new.spec["image"]) == (name, "well:2")
    assert bench.names(owner) == [name]
    calls = [path for method, path in bench.proxy.passed if method != "GET"]
    killed, started = (
        calls.index(f"/containers/{old.id}/kill"),
        next(i for i, path in enumerate(calls) if "start" in path),
    )
    assert (killed > started) == (bench.target.can_run_beside and not ports)


@pytest.mark.parametrize(
    ("bench", "image", "ports"),
    [
        ("wide", "sick:1", ()),
        ("wide", "sick:1", (_MAPPED,)),
        ("wide", "crash:1", (_MAPPED,)),
        ("narrow", "sick:1", (_MAPPED,)),
        ("narrow", "crash:1", ()),
        ("narrow", "nosuch:1", ()),
    ],
    indirect=["bench"],
)
def test_back_to_the_old_one_where_the_new_one_does_not_become_healthy(
    bench: Bench, outpost: tuple[UUID, str], ports: tuple[str, ...], image: str
) -> None:
    owner, name = outpost
    mapped = tuple(each.format(port=free_port()) for each in ports)
    good = wanted_container(owner, name, ports=mapped, labels={"kept": "yes"})
    bench.bring(good, owner=owner)

    with pytest.raises(ActionFailed) as failed:
        bench.bring(wanted_container(owner, name, image, ports=mapped), owner=owner)

    assert failed.value.restored
    assert failed.value.code == ("no_image" if image == "nosuch:1" else "not_healthy")
    assert {"sick:1": "no luck", "crash:1": "exit code 3", "nosuch:1": ""}[image] in failed.value.detail
    (found,) = bench.look(owner)
    assert found.name == name
    assert found.fingerprint == good.fingerprint
    # Healthy again, some moments later.
    assert found.condition in {Condition.RUNNING, Condition.STARTING}
    # Made again by its image's id where it could not be kept, it is still the same otherwise.
    told = plan([good], [found], can_run_beside=False)
    assert all(each.path == "image" for action in told if isinstance(action, Replace) for each in action.differences)


@BOTH
def test_cancelled_in_the_middle_the_old_one_serves(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    bench.bring(wanted_container(owner, name), owner=owner)

    with pytest.raises(Cancelled):
        bench.bring(
            wanted_container(owner, name, "sick:1"), owner=owner, ear=Ear(raising={"waiting_healthy": Cancelled()})
        )

    assert bench.names(owner) == [name]
    assert bench.engine.inspect(name)["State"]["Running"]


def test_another_name(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    bench.bring(wanted_container(owner, name), owner=owner)

    # Where containers may be renamed it stays the same one (test_target_contract).
    assert bench.bring(wanted_container(owner, f"{name}-new"), owner=owner) == ["Replace"]

    assert bench.names(owner) == [f"{name}-new"]


def test_what_was_stopped_paused_or_is_not_healthy_is_started_again(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    wanted = wanted_container(owner, name)
    bench.bring(wanted, owner=owner)
    (before,) = bench.look(owner)
    for command in ("stop", "pause"):
        bench.engine.run("docker", command, name)
        assert bench.bring(wanted, owner=owner) == ["Revive"], command

    (after,) = bench.look(owner)

    assert after.id == before.id
    assert after.condition is Condition.RUNNING


def test_what_cannot_be_started_any_more_is_made_anew(bench: Bench, outpost: tuple[UUID, str]) -> None:
    """Its network was removed and made again: to the container, the old one is gone for ever."""
    owner, name = outpost
    network = f"net-{owner.hex[:8]}"
    create = ("docker", "network", "create", "--subnet", "198.19.7.0/24", network)
    bench.engine.run(*create)
    wanted = wanted_container(owner, name, network=network)
    bench.bring(wanted, owner=owner)
    bench.engine.run("docker", "stop", name)
    bench.engine.run("docker", "network", "rm", network)
    bench.engine.run(*create)

    bench.bring(wanted, owner=owner)

    (found,) = bench.look(owner)
    assert (found.condition, found.spec["network"]) == (Condition.RUNNING, network)
    bench.bring(owner=owner)
    bench.engine.run("docker", "network", "rm", network)


def test_removed_with_its_volumes_and_nobody_elses(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    stranger, other = owner_and_name()
    label = f"io.goauthentik.outpost-uuid={stranger}"
    bench.engine.run("docker", "run", "-d", "--name", other, "--label", label, "well:1")
    volumes = bench.engine.run("docker", "volume", "ls", "-q")
    bench.bring(wanted_container(owner, name, "volume:1"), owner=owner)
    assert bench.engine.run("docker", "volume", "ls", "-q") != volumes

    assert bench.bring(owner=owner) == ["Remove"]

    assert bench.look(owner) == ()
    assert bench.engine.run("docker", "volume", "ls", "-q") == volumes
    assert bench.engine.run("docker", "inspect", "--format", "{{.State.Running}}", other).strip() == "true"
    bench.engine.run("docker", "rm", "-f", other)


@BOTH
def test_done_twice_is_no_harm(bench: Bench, outpost: tuple[UUID, str]) -> None:
    """As when somebody else has done it since anybody looked."""
    owner, name = outpost
    wanted = wanted_container(owner, name)
    bench.target.apply(Create(wanted=wanted), Ear())
    (found,) = bench.look(owner)
    bench.target.apply(Create(wanted=wanted), Ear())
    assert bench.look(owner) == (found,)

    changed = wanted_container(owner, name, "well:2")
    for beside in (False, True):
        bench.target.apply(Replace(wanted=changed, found=found, differences=(), beside=beside), Ear())
        assert bench.names(owner) == [name]
    bench.target.apply(Change(wanted=changed, found=bench.look(owner)[0], differences=()), Ear())
    bench.target.apply(Revive(wanted=changed, found=bench.look(owner)[0]), Ear())
    (kept,) = bench.look(owner)
    for _ in range(2):
        bench.target.apply(Remove(found=kept), Ear())
    assert bench.look(owner) == ()


def test_a_copy_by_hand_goes(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    wanted = wanted_container(owner, name)
    bench.bring(wanted, owner=owner)
    label = f"io.goauthentik.outpost-uuid={owner}"
    bench.engine.run("docker", "run", "-d", "--name", f"{name}-copy", "--label", label, "well:1")

    assert bench.bring(wanted, owner=owner) == ["Remove"]

    assert bench.names(owner) == [name]


def test_a_name_that_somebody_else_has(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    bench.engine.run("docker", "run", "-d", "--name", name, "well:1")
    with pytest.raises(ActionFailed) as failed:
        bench.bring(wanted_container(owner, name), owner=owner)
    assert (failed.value.code, failed.value.detail) == ("name_taken", name)

    # Nothing of the old one is touched for a name that can't be had.
    bench.bring(wanted_container(owner, f"{name}-b"), owner=owner)
    with pytest.raises(ActionFailed):
        bench.bring(wanted_container(owner, name, "well:2"), owner=owner)
    (kept,) = bench.look(owner)
    assert (kept.name, kept.condition) == (f"{name}-b", Condition.RUNNING)
    bench.engine.run("docker", "rm", "-f", name)


def test_a_name_that_another_outpost_still_has_is_waited_for(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    label = "io.goauthentik.outpost-uuid=5d2dba0c-5e4a-4a9e-8a8e-0d2f6ef3a111"
    bench.engine.run("docker", "run", "-d", "--name", name, "--label", label, "well:1")
    with pytest.raises(TargetAway) as away:
        bench.bring(wanted_container(owner, name), owner=owner)
    bench.engine.run("docker", "rm", "-f", name)

    assert (away.value.code, away.value.detail) == ("name_in_use", name)


def test_who_is_known_to_work_need_not_have_a_health_check_that_says_so(
    bench: Bench, outpost: tuple[UUID, str]
) -> None:
    owner, name = outpost
    wanted = wanted_container(owner, name, "sick:1")
    everybody = DockerTarget(bench.connected, lambda _: True)

    everybody.apply(Create(wanted=wanted), Ear())

    (found,) = everybody.observe(frozenset({owner}))
    assert found.condition is Condition.RUNNING


@BOTH
def test_what_had_connected_is_replaced_only_by_what_connects_too(bench: Bench, outpost: tuple[UUID, str]) -> None:
    """Its health check tells only that its process lives: not that it reaches control, where it is sent now."""
    owner, name = outpost
    bench.bring(wanted_container(owner, name), owner=owner)
    (old,) = bench.look(owner)
    bench.ready.add(old.id)
    wanted = wanted_container(owner, name, env={"AUTHENTIK_HOST": "https://mistyped.example"})
    hasty = replace(QUICK, healthy=0.8)
    with connect(Connection(url=bench.proxy.url), hasty) as connected:
        target = DockerTarget(connected, bench.ready.__contains__)
        with pytest.raises(ActionFailed) as failed:
            target.apply(Replace(wanted=wanted, found=old, differences=(), beside=True), Ear())
        assert (failed.value.code, failed.value.restored) == ("not_connected", True)
        (kept,) = bench.look(owner)
        assert kept.spec["env"] == old.spec["env"]

        everybody = DockerTarget(connected, lambda _: True)
        everybody.apply(Replace(wanted=wanted, found=kept, differences=(), beside=True), Ear())
    assert bench.look(owner)[0].fingerprint == wanted.fingerprint


@pytest.mark.parametrize("bench", ["wide"], indirect=True)
def test_outposts_whose_names_end_alike(bench: Bench) -> None:
    """What is called so on the way is no outpost's name."""
    _, name = owner_and_name()
    owners = {f"{name}{ending}": owner_and_name()[0] for ending in ("", "-next", "-old")}
    for image in ("well:1", "well:2"):
        for each, owner in owners.items():
            bench.bring(wanted_container(owner, each, image), owner=owner)
    for owner in owners.values():
        bench.bring(owner=owner)


@pytest.mark.parametrize("bench", ["wide"], indirect=True)
def test_two_that_swap_their_names(bench: Bench, outpost: tuple[UUID, str]) -> None:
    """Each finds the other in its place; who is first leaves its own, and both have what they want in the end."""
    first, name = outpost
    second, other = owner_and_name()
    bench.bring(wanted_container(first, name), owner=first)
    bench.bring(wanted_container(second, other), owner=second)
    with pytest.raises(TargetAway):
        bench.bring(wanted_container(first, other), owner=first)
    bench.bring(wanted_container(second, name), owner=second)
    bench.bring(wanted_container(first, other), owner=first)

    assert (bench.names(first), bench.names(second)) == ([other], [name])
    bench.bring(owner=second)


def test_without_a_health_check_running_for_a_while_is_enough(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost

    assert bench.bring(wanted_container(owner, name, "plain:1"), owner=owner) == ["Create"]


def test_who_does_not_end_when_asked_to_is_killed(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    bench.bring(wanted_container(owner, name, "stubborn:1"), owner=owner)

    with connect(Connection(url=bench.proxy.url), replace(QUICK, leave=0.3)) as connected:
        assert replace(bench, connected=connected).bring(owner=owner) == ["Remove"]

    assert bench.names(owner) == []


def test_a_moved_tag_is_seen(bench: Bench, outpost: tuple[UUID, str]) -> None:
    owner, name = outpost
    tag = f"moving-{owner.hex[:8]}:1"
    bench.engine.run("docker", "tag", "well:1", tag)
    wanted = wanted_container(owner, name, tag)
    bench.bring(wanted, owner=owner)
    bench.engine.run("docker", "tag", "well:2", tag)

    (found,) = bench.look(owner)
    assert found.spec["image"].startswith("sha256:")
    assert bench.bring(wanted, owner=owner) == ["Replace"]
    bench.engine.run("docker", "rmi", tag)
    # A reference that means nothing any more says nothing about what runs.
    assert bench.look(owner)[0].spec["image"] == tag
