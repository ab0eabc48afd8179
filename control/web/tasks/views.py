"""System tasks: the list of runs, live and narrowed by its address; one run with its log; its end, and once more."""

from collections.abc import Mapping
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.errors import NotFound
from control.domain.task import CAUSES, FINAL, TaskKind, TaskRun
from control.store import Unit
from control.web.context import web
from control.web.forms import Form, saving
from control.web.pages import STOP_POLLING, done, live, show_form
from control.web.tasks.asking import ask_end, ask_run
from control.web.tasks.listing import FIELDS, given, read_rows

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")

# The newest; a run that was tried often has more, which are shown when they are asked for.
MOST_LINES = 500
# Whose page the subject of a run has.
_ABOUT: Mapping[TaskKind, str] = {
    TaskKind.CHECK: "integrations",
    TaskKind.SURVEY: "integrations",
    TaskKind.DEPLOY: "outposts",
    TaskKind.PREVIEW: "outposts",
}


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """A page of the list; what is empty in a form that was sent doesn't stay in the address."""
    if any(not request.args[name].strip() for name in FIELDS if name in request.args):
        return redirect(url_for(".index", **given()), HTTPStatus.SEE_OTHER)
    with web().store.read() as unit:
        rows, causes = read_rows(unit), unit.runs.causes()
    asked = [cause for cause in causes if cause not in CAUSES]
    return render_template("tasks/index.html", rows=rows, given=rows.given, people=asked, kinds=list(TaskKind))


@blueprint.get("/live")
def live_rows() -> ResponseReturnValue:
    """The list alone, which the page polls."""
    with web().store.read() as unit:
        rows = read_rows(unit)
    return live("tasks/rows.html", rows=rows, given=rows.given)


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One run: how it is, why, what it left behind, and all that it said."""
    with web().store.read() as unit:
        values = _read(unit, key)
    return render_template("tasks/detail.html", **values)


@blueprint.get("/<uuid:key>/live")
def live_detail(key: UUID) -> ResponseReturnValue:
    """The same without the page around, polled until the run has ended or is forgotten."""
    try:
        with web().store.read() as unit:
            values = _read(unit, key)
    except NotFound:
        return render_template("tasks/gone.html"), STOP_POLLING
    if values["ended"]:
        return render_template("tasks/live.html", **values), STOP_POLLING
    return live("tasks/live.html", **values)


@blueprint.route("/<uuid:key>/cancel", methods=["GET", "POST"])
def cancel(key: UUID) -> ResponseReturnValue:
    """Ask for the end of a run."""
    return _ask(key, "cancel")


@blueprint.route("/<uuid:key>/again", methods=["GET", "POST"])
def again(key: UUID) -> ResponseReturnValue:
    """The same once more, as a run of its own."""
    return _ask(key, "again")


def _ask(key: UUID, what: str) -> ResponseReturnValue:
    with web().store.read() as unit:
        run = unit.runs.get(key)
    form = Form()
    if request.method == "POST" and form.validate_on_submit():
        with saving(form) as unit:
            asked = _ask_for(unit, unit.runs.get(key), what)
            return done(url_for(".detail", key=asked.id), f"task_{what}", name=str(run.kind))
    is_over = what == "cancel" and run.state in FINAL
    values = {"run": run, "blocked": is_over, "tone": "danger" if what == "cancel" else "primary"}
    return show_form(f"tasks/{what}.html", form, url_for(".detail", key=key), **values)


def _ask_for(unit: Unit, run: TaskRun, what: str) -> TaskRun:
    if what == "again":
        return ask_run(unit, run.kind, run.subject, run.name)
    ask_end(unit, run)
    return run


def _read(unit: Unit, key: UUID) -> Mapping[str, object]:
    run, lines = unit.runs.get(key), unit.runs.lines(key)
    is_whole = request.args.get("lines") == "all"
    shown = lines if is_whole else lines[-MOST_LINES:]
    return {
        "run": run,
        "lines": shown,
        "earlier": len(lines) - len(shown),
        "is_whole": is_whole,
        "ended": run.state in FINAL,
        "subject_url": _find_subject_url(unit, run),
    }


def _find_subject_url(unit: Unit, run: TaskRun) -> str:
    """The page of what the run is about, or "" where it is about nothing or that is gone."""
    noun = _ABOUT.get(run.kind, "")
    if run.subject is None or not noun:
        return ""
    is_there = unit.outposts.find(run.subject) if noun == "outposts" else unit.integrations.find(run.subject)
    return url_for(f"admin.{noun}.detail", key=run.subject) if is_there is not None else ""
