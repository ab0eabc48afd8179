"""Which interop tests come one after the other while four workers share them (scripts/test.py).

Whatever starts whole installations is in a lane: no more of them are at work at a time than there are workers, and what
is expensive is made once. Lanes begin in the order in which they stand below, those that take longest first; all other
tests go to whoever is free after that. What is the same in each, and why it may meet the others:

- `faults`: installations whose lines, clocks and disks fail, and outposts at full load: each wants the machine most of
  all, so they don't meet. Disks may be taken away while others have mounts of their own (tests/support/disks.py).
- `browsers`: Chromium and its installations. It gives up what it loads when the machine's networks change, so nobody
  may change them: who makes bridges or cables does so in a network of its own (tests/support/networks.py).
- `engines`: one Docker engine and one build of each image, in a network of their own; so is the browser that sees
  deployments.
- `fronts`: the installation behind five reverse proxies, and all else but `replicas`, `resilience`, `events` and
  `demo`, which have installations of their own.
- `ldap`: one directory, with all its clients; Linux machines that ask it, too.
- `proxied`, `hostile`: the installations in mode proxy, among good clients and upstreams, and among hostile ones.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

LANES = {
    "faults": (
        "tests/interop/faults/",
        "tests/interop/test_outpost_disk.py",
        "tests/interop/test_workers_under_load.py",
    ),
    "browsers": ("tests/control/web/frontend/", "tests/e2e/"),
    "engines": ("tests/interop/docker/",),
    "fronts": ("tests/interop/",),
    "ldap": ("tests/interop/ldap/",),
    "proxied": ("tests/interop/proxy/",),
    "replicas": ("tests/interop/test_replicas.py",),
    "resilience": ("tests/interop/test_resilience.py",),
    "events": ("tests/interop/test_events.py",),
    "demo": ("tests/interop/test_demo.py",),
    "hostile": ("tests/interop/proxy/hostile/",),
}
_PATHS = {path: lane for lane, paths in LANES.items() for path in paths}
_TURNS = [*LANES, None]


def lane_of(test: str) -> str | None:
    """The lane that names a test, by its id, most exactly; None for a test that may be anywhere."""
    return _PATHS.get(max((path for path in _PATHS if test.startswith(path)), key=len, default=""))


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no annotations that mypy may read
    """Lanes stay together; every other test is for itself."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid) or nodeid


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let lanes begin in their order. Import this into the root's conftest."""
    if config.getoption("dist", None) == "loadscope":
        items.sort(key=lambda item: _TURNS.index(lane_of(item.nodeid)))


# Not by the marks that pytest-xdist has for it (xdist_group): those of version 3.8 do nothing under pytest 9.2.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes | None:
    """Share out the interop tests. Import this, too."""
    return Lanes(config, log) if config.option.dist == "loadscope" else None
