"""What tests want on an engine: containers of the tiny images, in the normal form that control renders to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from control.fleet.launch import OUTPOST_LABEL
from control.integrations.docker.limits import Limits
from control.integrations.docker.spec import COMPONENT_LABEL, OUTPOST_COMPONENT, TOKEN_PATH, Container
from control.integrations.model import Key, Said, Wanted

# As in control, in the time of tests.
QUICK = Limits(connect=5, call=20, quiet=5, pull=20, healthy=8, poll=0.05, steady=0.4, leave=2, follow=1)
TOKEN = "a-token-of-tests"


def wanted_container(owner: UUID, name: str, image: str = "well:1", **changes: Any) -> Wanted:
    """One container of an outpost; `changes` are fields of Container."""
    env = {"AUTHENTIK_HOST": "https://control.example", "AUTHENTIK_TOKEN": TOKEN, **changes.pop("env", {})}
    labels = {OUTPOST_LABEL: str(owner), COMPONENT_LABEL: OUTPOST_COMPONENT, **changes.pop("labels", {})}
    container = Container(image=image, command=("proxy",), env=env, labels=labels, **changes)
    spec = container.spec
    return Wanted(
        key=Key(owner=owner, component=OUTPOST_COMPONENT),
        name=name,
        spec=spec,
        in_place=frozenset({"name"}),
        accepts={TOKEN_PATH: frozenset({str(spec["env"]["AUTHENTIK_TOKEN"])})},
        hidden=frozenset({TOKEN_PATH}),
        private={TOKEN_PATH: env["AUTHENTIK_TOKEN"]},
        exclusive=bool(container.ports),
    )


def owner_and_name() -> tuple[UUID, str]:
    """An outpost that nobody else has, and what its container is called."""
    owner = uuid4()
    return owner, f"ak-outpost-{owner.hex[:8]}"


@dataclass(kw_only=True)
class Ear:
    """Hears what is told; `raising` is raised as soon as a code is told."""

    raising: Mapping[str, Exception] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)

    def __call__(self, said: Said) -> None:
        """As a Report."""
        if said.code:
            self.said.append(said)
        if said.code in self.raising:
            raise self.raising[said.code]

    @property
    def codes(self) -> list[str]:
        """What was told, in order."""
        return [said.code for said in self.said]


def deaf(_: Said) -> None:
    """A Report that nobody hears."""
