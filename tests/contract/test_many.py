"""A thousand applications at one outpost, with control, its link and the real program."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control.domain.outpost import InstanceState
from control.store import Store
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, add_outpost, add_site
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes

MANY = 1_000
NGINX = "/outpost.goauthentik.io/auth/nginx"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def control(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Iterator[RealControl]:
    with RealControl(Control(store, clock, wakes, tmp_path)).running() as control:
        yield control


@pytest.fixture
def deployed(control: RealControl) -> Deployed:
    with control.store.write(ADMIN) as unit:
        return add_outpost(unit, "edge", [add_site(unit, f"app{number}") for number in range(MANY)])


def test_a_thousand_applications_work_and_a_change_to_one_sends_one(
    control: RealControl, deployed: Deployed, tmp_path: Path
) -> None:
    with OutpostProcess(tmp_path, control.environment(deployed), workers=2) as outpost:
        outpost.ready()
        assert outpost.metrics()["garrison_outpost_resources"] == MANY + 1
        statuses = {
            outpost.get(NGINX, f"app{number}.example.com", outpost.http_port)[0] for number in (0, 499, MANY - 1)
        }
        # A question without nginx's headers is a bad one, to a host that is served; 404 is any other's.
        assert statuses == {400}
        control.instance(deployed, state=InstanceState.CONNECTED)
        eventually(lambda: control.pushes() == 1, "control knows of the first")
        rename(control, deployed, "other.example.com")
        eventually(lambda: outpost.get(NGINX, "other.example.com", outpost.http_port)[0] == 400, "it is served")
        eventually(lambda: control.pushes() == 2, "one push")
        (config,) = eventually(lambda: configurations(outpost)[1:], "it is said")
        assert (config["changed"], config["removed"]) == (1, 0)


def configurations(outpost: OutpostProcess) -> list[dict[str, Any]]:
    """Those that were put in force, as the log tells."""
    return [line for line in outpost.log if line["event"] == "a configuration is in force"]


def rename(control: RealControl, deployed: Deployed, host: str) -> None:
    """Have one application served under another name."""
    with control.store.write(ADMIN) as unit:
        provider = unit.proxy_providers.get(deployed.sites[7].provider.id)
        unit.proxy_providers.update(replace(provider, external_host=f"https://{host}"))
