"""One instance of an outpost: how it is and what happened to it, live; drain it, or forget one that is gone."""

from collections.abc import Callable, Mapping
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.errors import NotFound
from control.domain.outpost import Instance, Outpost
from control.fleet.instances import (
    ask_drain,
    find_drain,
    find_objection_to_protocol,
    forget_instance,
    history,
    judge,
)
from control.fleet.rotation import TokenStatus
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.outposts.page import find_status
from control.web.pages import STOP_POLLING, done, live, show_form
from control.web.standing import standing

blueprint = Blueprint("instances", __name__, url_prefix="/<uuid:key>/instances/<uuid:instance>")


@blueprint.get("/")
def detail(key: UUID, instance: UUID) -> ResponseReturnValue:
    """One instance."""
    with web().store.read() as unit:
        values = _read(unit, unit.outposts.get(key), instance)
    return render_template("outposts/instance.html", **values)


@blueprint.get("/live")
def live_detail(key: UUID, instance: UUID) -> ResponseReturnValue:
    """What of the page is polled; when the instance was forgotten meanwhile, that, and no more polls."""
    try:
        with web().store.read() as unit:
            values = _read(unit, unit.outposts.get(key), instance)
    except NotFound:
        return render_template("outposts/instance_gone.html", key=key), STOP_POLLING
    return live("outposts/instance_live.html", **values)


@blueprint.route("/drain", methods=["GET", "POST"])
def drain(key: UUID, instance: UUID) -> ResponseReturnValue:
    """Have it finish what is in flight and end."""
    back = url_for("admin.outposts.instances.detail", key=key, instance=instance)
    return _ask("drain", (key, instance), ask_drain, back)


@blueprint.route("/forget", methods=["GET", "POST"])
def forget(key: UUID, instance: UUID) -> ResponseReturnValue:
    """Take one that is gone off the list."""
    return _ask("forget", (key, instance), forget_instance, url_for("admin.outposts.detail", key=key))


def _ask(
    what: str, of: tuple[UUID, UUID], act: Callable[[Unit, Outpost, str], object], back: str
) -> ResponseReturnValue:
    with web().store.read() as unit:
        outpost = unit.outposts.get(of[0])
        instance = _get_instance(unit, outpost, of[1])
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            act(unit, outpost, instance.uid)
            return done(back, f"instance_{what}", name=instance.hostname or instance.uid[:12])
    page = url_for("admin.outposts.instances.detail", key=outpost.id, instance=instance.id)
    return show_form(f"outposts/{what}.html", form, page, outpost=outpost, instance=instance, tone="danger")


def _read(unit: Unit, outpost: Outpost, key: UUID) -> Mapping[str, object]:
    instance = _get_instance(unit, outpost, key)
    (view,) = judge(outpost, [instance], web().settings.version, unit.now).instances
    status = find_status(unit, outpost)
    return {
        "outpost": outpost,
        "view": view,
        "standing": standing(view),
        "objection": find_objection_to_protocol(instance.protocol),
        "drain": find_drain(unit.drains.all(), instance, unit.now),
        "events": history(unit, outpost, instance.uid),
        "roles": _roles(status),
        "has_old_token": status is not None and instance.id in {each.id for each in status.holdouts},
        "holder": unit.link_processes.find(instance.holder) if instance.holder is not None else None,
    }


def _roles(status: TokenStatus | None) -> Mapping[str, str]:
    """What the outpost's valid tokens are, by fingerprint."""
    if status is None:
        return {}
    return {**{token.fingerprint: "retiring" for token in status.retiring}, status.current.fingerprint: "current"}


def _get_instance(unit: Unit, outpost: Outpost, key: UUID) -> Instance:
    instance = unit.instances.get(key)
    if instance.outpost != outpost.id:
        raise NotFound("instance", str(key))
    return instance
