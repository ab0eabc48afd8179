"""The audit trail: a list that is narrowed by its address and grows while one looks, one event, and the export."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from http import HTTPStatus
from threading import BoundedSemaphore
from uuid import UUID

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.audit import TEXTS, TIMES, AuditFilter, as_json, read_filter
from control.domain.errors import Invalid
from control.store import Event
from control.store.trail import parts
from control.web.audit.listing import given, is_first, minutes, read_choices, read_listing
from control.web.audit.places import find_actor_url, find_object_url
from control.web.audit.words import line_of, outpost_names
from control.web.context import web
from control.web.errors import Refused
from control.web.identity import actor
from control.web.pages import live, show

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

# At a time; each takes one of the web process's threads for as long as its reader likes.
MOST_EXPORTS = 2
_EXPORTS = "garrison.exports"


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """A page of the trail; what is empty in a form that was sent doesn't stay in the address."""
    if any(not request.args[name].strip() for name in (*TEXTS, *TIMES) if name in request.args):
        return redirect(url_for(".index", **given()), HTTPStatus.SEE_OTHER)
    try:
        wanted, problems = read_filter(given()), {}
    except Invalid as invalid:
        wanted, problems = AuditFilter(), {problem.field: problem for problem in invalid.problems}
    with web().store.read() as unit:
        choices = read_choices(unit)
        listing = read_listing(unit) if not problems else None
    values = {
        "problems": problems,
        "choices": choices,
        "since": minutes(wanted.since),
        "until": minutes(wanted.until),
        "live": is_first() and not problems and request.args.get("live") != "off",
        "first": is_first(),
        "kept": web().settings.audit_kept,
    }
    page = render_template("audit/index.html", given=given(), listing=listing, **values)
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK


@blueprint.get("/live")
def live_rows() -> ResponseReturnValue:
    """The newest events of those wanted, which the page polls."""
    with web().store.read() as unit:
        listing = read_listing(unit)
    return live("audit/rows.html", given=given(), listing=listing)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """All that is known of one event."""
    with web().store.read() as unit:
        event = unit.audit.get(key)
        line = line_of(event, outpost_names(unit), event.count)
        urls = {"object_url": find_object_url(unit, event), "actor_url": find_actor_url(unit, event)}
    return show("audit/detail.html", event=event, line=line, json=as_json(event), **urls)


@blueprint.get("/export")
def export() -> ResponseReturnValue:
    """The events wanted as JSON lines, oldest first, written as they are read. That it was done is in the trail."""
    wanted, exports = read_filter(given()), _exports()
    with ExitStack() as stack:
        if not exports.acquire(blocking=False):
            raise Refused(status=HTTPStatus.SERVICE_UNAVAILABLE, code="exports_busy")
        stack.callback(exports.release)
        begun = _record_export()
        response = Response(_lines(wanted), mimetype="application/jsonl")
        response.headers["Content-Disposition"] = f'attachment; filename="audit-{begun:%Y%m%dT%H%M%SZ}.jsonl"'
        response.headers["Cache-Control"] = "no-store"
        response.call_on_close(stack.pop_all().close)
        return response


def _exports() -> BoundedSemaphore:
    found: BoundedSemaphore = current_app.extensions.setdefault(_EXPORTS, BoundedSemaphore(MOST_EXPORTS))
    return found


def _record_export() -> datetime:
    narrowed = ", ".join(f"{name}: {text}" for name, text in given().items())
    with web().store.write(actor()) as unit:
        unit.record(Event(action="exported", kind="audit trail", target="", name=narrowed))
        return unit.now


def _lines(wanted: AuditFilter) -> Iterator[str]:
    return ("".join(f"{as_json(event)}\n" for event in part) for part in parts(web().store, wanted))
