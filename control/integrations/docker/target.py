"""Docker as the reconciler needs it: what lies there of outposts, and each action carried out.

Containers are found by their labels alone, whatever they are called. What an action leaves when it is cut off is mended
by the next plan, since nothing here is remembered between two of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as with_changes
from typing import Any, assert_never
from uuid import UUID

from control.fleet.launch import OUTPOST_LABEL
from control.integrations.docker.containers import NAME_IN_USE, Containers
from control.integrations.docker.engine import Engine
from control.integrations.docker.images import Images
from control.integrations.docker.refusals import Missing
from control.integrations.docker.replacing import aside_name, replace
from control.integrations.docker.spec import FINGERPRINT_LABEL, find_key, found_container
from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Condition,
    Create,
    Found,
    Key,
    Remove,
    Replace,
    Report,
    Revive,
    TargetAway,
    Wanted,
)

CODES = (
    "healthy",
    NAME_IN_USE,
    "name_taken",
    "no_image",
    "not_connected",
    "not_ended",
    "not_healthy",
    "not_made",
    "not_removed",
    "not_renamed",
    "not_started",
    "pull_failed",
    "pulled",
    "pulling",
    "pulling_layers",
    "still_waiting",
    "stopping",
    "swapped",
    "waiting_healthy",
)


class DockerTarget:
    """One engine while it is connected. `is_ready` tells whether a container, by its id, is known to do its work."""

    def __init__(self, engine: Engine, is_ready: Callable[[str], bool]) -> None:
        self._engine = engine
        self._images = Images(engine)
        self._is_ready = is_ready

    @property
    def can_run_beside(self) -> bool:
        """As in Target: where containers may be renamed."""
        return self._engine.can_rename

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """As in Target."""
        images: dict[str, str | None] = {}
        return tuple(
            found for each in self._engine.containers(OUTPOST_LABEL) for found in self._look(each, owners, images)
        )

    def prepare(self, wanted: Wanted, report: Report) -> str:
        """As in Target: pull its image, and return the id of what there is then."""
        return self._images.fetch(str(wanted.spec["image"]), report)

    def apply(self, action: Action, report: Report) -> None:
        """As in Target."""
        containers = Containers(engine=self._engine, is_ready=self._is_ready, report=report)
        match action:
            case Create(wanted=wanted):
                self._create(containers, wanted)
            case Change(wanted=wanted, found=found) if self._engine.can_rename:
                with self._making_way(containers, wanted, found):
                    _rename(containers, wanted, found)
            case Change(wanted=wanted, found=found, differences=differences):
                self._replace(containers, Replace(wanted=wanted, found=found, differences=differences, beside=False))
            case Replace():
                self._replace(containers, action)
            case Revive(wanted=wanted, found=found):
                self._revive(containers, wanted, found)
            case Remove(found=found):
                containers.drop(found.id)
            case _:
                assert_never(action)

    def _look(self, listed: dict[str, Any], owners: frozenset[UUID], images: dict[str, str | None]) -> Iterator[Found]:
        key = find_key(listed.get("Labels"))
        if key is None or key.owner not in owners:
            return
        try:
            inspected = self._engine.inspect(str(listed["Id"]))
        except Missing:
            return
        found = _found(inspected, self._image(inspected, images), key)
        if found.condition is not Condition.RUNNING and _runs(inspected) and self._is_ready(found.id):
            found = with_changes(found, condition=Condition.RUNNING)
        yield found

    def _image(self, inspected: dict[str, Any], images: dict[str, str | None]) -> str:
        """The reference it was made by while that means what it runs (or nothing), else the id of what it runs."""
        reference, running = str((inspected.get("Config") or {}).get("Image", "")), str(inspected["Image"])
        if reference not in images:
            images[reference] = self._engine.find_image(reference)
        return reference if images[reference] in {None, running} else running

    def _create(self, containers: Containers, wanted: Wanted) -> None:
        self._images.ensure(str(wanted.spec["image"]), containers.report)
        new = self._find_made(containers, wanted) or containers.create(wanted, wanted.name)
        containers.start(new)
        containers.settle(new, wanted.name)

    def _find_made(self, containers: Containers, wanted: Wanted) -> str:
        """The same container, made by an attempt that was cut off since anybody looked; "" for none."""
        holder = containers.check_name(wanted.name, wanted.key)
        if not holder:
            return ""
        labels = (self._engine.inspect(holder).get("Config") or {}).get("Labels") or {}
        return holder if labels.get(FINGERPRINT_LABEL) == wanted.fingerprint else ""

    def _replace(self, containers: Containers, action: Replace) -> None:
        try:
            self._images.ensure(str(action.wanted.spec["image"]), containers.report)
        except ActionFailed as error:
            # Nothing has been touched.
            raise ActionFailed(error.code, error.detail, restored=True) from error
        if containers.is_there(action.found.id):
            with self._making_way(containers, action.wanted, action.found):
                replace(containers, action, can_rename=self._engine.can_rename)
        else:
            self._create(containers, action.wanted)

    @contextmanager
    def _making_way(self, containers: Containers, wanted: Wanted, found: Found) -> Iterator[None]:
        """Where another outpost has the name, which may want ours: leave ours, so that one of both gets on."""
        try:
            yield
        except TargetAway as error:
            if error.code == NAME_IN_USE and self._engine.can_rename and found.name != wanted.name:
                containers.rename(found.id, aside_name(wanted), wanted.key)
            raise

    def _revive(self, containers: Containers, wanted: Wanted, found: Found) -> None:
        if found.condition is not Condition.STOPPED:
            containers.end(found.id)
        try:
            containers.start(found.id)
        except ActionFailed:
            # Not as it is, such as on a network that was made anew: then as it is wanted.
            containers.drop(found.id)
            self._create(containers, wanted)
        else:
            containers.settle(found.id, wanted.name)


def _found(inspected: dict[str, Any], image: str, key: Key) -> Found:
    try:
        return found_container(inspected, image, key)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        # Whatever else speaks so: what it tells of a container has not the shape of one.
        raise TargetAway("not_an_engine", f"GET /containers/{{id}}/json: {type(error).__name__} {error}") from error


def _rename(containers: Containers, wanted: Wanted, found: Found) -> None:
    holder = containers.check_name(wanted.name, wanted.key)
    if holder and holder != found.id:
        # Of the same deployment, and not kept: it goes by an action of its own, after this one.
        containers.rename(holder, aside_name(wanted), wanted.key)
    containers.rename(found.id, wanted.name, wanted.key)


def _runs(inspected: dict[str, Any]) -> bool:
    return bool((inspected.get("State") or {}).get("Status") == "running")
