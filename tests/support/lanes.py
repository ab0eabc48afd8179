"""Which interop tests come one after the other while four workers share them (scripts/test.py).

Whatever starts whole installations is in a lane: no more of them are at work at a time than there are workers, and what
is expensive is made once. All other interop tests go to whoever is free. Lanes begin in the order in which their tests
are found. What is the same in each, and why it may meet the others:

- `browsers`: Chromium and its installations. It gives up what it loads when the machine's networks change, so nobody
  may change them: who makes bridges or cables does so in a network of its own (tests/support/networks.py).
- `engines`: one Docker engine and one build of each image, in a network of their own; so is the browser that sees
  deployments.
- `faults`: installations whose lines, clocks and disks fail, and outposts at full load: each wants the machine most of
  all, so they don't meet. Disks may be taken away while others have mounts of their own (tests/support/disks.py).
- `ldap`: one directory, with all its clients; Linux machines that ask it, too.
- `hostile`, `proxied`: the installations in mode proxy, among hostile clients and upstreams, and among good ones.
- `fronts`: the installation behind five reverse proxies, and all else but `demo`, `events`, `replicas` and
  `resilience`, which have installations of their own and go where there is time left.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

LANES = {
    "browsers": ("tests/control/web/frontend/", "tests/e2e/"),
    "engines": ("tests/interop/docker/",),
    "faults": (
        "tests/interop/faults/",
        "tests/interop/test_outpost_disk.py",
        "tests/interop/test_workers_under_load.py",
    ),
    "ldap": ("tests/interop/ldap/",),
    "hostile": ("tests/interop/proxy/hostile/",),
    "proxied": ("tests/interop/proxy/",),
    "demo": ("tests/interop/test_demo.py",),
    "events": ("tests/interop/test_events.py",),
    "replicas": ("tests/interop/test_replicas.py",),
    "resilience": ("tests/interop/test_resilience.py",),
    "fronts": ("tests/interop/",),
}


def lane_of(test: str) -> str | None:
    """The first lane that has a test, by its id; None for a test that may be anywhere."""
    return next((lane for lane, folders in LANES.items() if test.startswith(folders)), None)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no annotations that mypy may read
    """Lanes stay together; every other test is for itself."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid) or nodeid


# Not by the marks that pytest-xdist has for it (xdist_group): those of version 3.8 do nothing under pytest 9.2.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes | None:
    """Share out the interop tests. Import this into the root's conftest."""
    return Lanes(config, log) if config.option.dist == "loadscope" else None
