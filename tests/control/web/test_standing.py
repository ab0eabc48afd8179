"""Each instance has one standing, and all together are counted by it."""

from typing import Any
from uuid import uuid4

import pytest

from control.domain.outpost import InstanceState, Outpost, OutpostType
from control.fleet.instances import InstanceView, judge
from control.web.standing import Standing, standing, tally
from tests.support import builders
from tests.support.site import instance

GONE, DRAINING = InstanceState.DISCONNECTED, InstanceState.DRAINING


def view(**fields: Any) -> InstanceView:
    """What is thought of an instance that is well but for `fields`."""
    outpost = Outpost(id=uuid4(), name="edge", type=OutpostType.PROXY, service_account=uuid4(), created=builders.WHEN)
    made = instance(outpost.id, builders.WHEN, **{"rejections": (), **fields})
    return judge(outpost, [made], "0.1.0", builders.WHEN).instances[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Standing.HEALTHY),
        ({"version": "0.0.9"}, Standing.OUTDATED),
        ({"version": "0.2.0"}, Standing.OUTDATED),
        ({"state": DRAINING}, Standing.DRAINING),
        ({"state": DRAINING, "last_error": "x"}, Standing.DRAINING),
        ({"last_error": "x"}, Standing.FAULTY),
        ({"last_error": "x", "version": "0.0.9"}, Standing.FAULTY),
        ({"state": GONE, "last_error": "x"}, Standing.DISCONNECTED),
        ({"state": GONE, "protocol": 0}, Standing.UNSUPPORTED),
        ({"state": GONE, "protocol": 99}, Standing.UNSUPPORTED),
    ],
)
def test_what_matters_most(fields: dict[str, Any], expected: Standing) -> None:
    assert standing(view(**fields)) is expected


def test_every_standing_is_counted() -> None:
    counts = tally([view(), view(), view(state=GONE)])
    assert counts == {**dict.fromkeys(Standing, 0), Standing.HEALTHY: 2, Standing.DISCONNECTED: 1}
