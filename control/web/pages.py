"""How views answer: pages, forms that are a modal or a page of their own, notices, and lists a page at a time.

A form has one address. With JavaScript htmx swaps its fragment into the dialog (`HX-Target: modal`); without, the
same address is a page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Generic, TypeVar
from urllib.parse import urldefrag

from flask import Response, after_this_request, flash, g, make_response, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from control.web.forms import Form

Item = TypeVar("Item")
PAGE_SIZE = 50
# Beyond any list; the database counts rows in 64 bits.
LAST_PAGE = 1_000_000
# htmx stops polling.
STOP_POLLING = 286


def in_modal() -> bool:
    """Whether the answer will be swapped into the page's dialog."""
    return request.headers.get("HX-Target") == "modal"


def show_form(template: str, form: Form, back: str, **values: object) -> ResponseReturnValue:
    """The form, for the dialog or as a page; 422 when it was posted and refused. `back` is where Cancel leads."""
    layout = "layout/form_modal.html" if in_modal() else "layout/form_page.html"
    context = {
        "action": request.full_path.rstrip("?"),
        "multipart": False,
        "tone": "primary",
        "blocked": False,
        **values,
    }
    page = render_template(template, form_layout=layout, form=form, back=back, **context)
    return page, 422 if form.is_submitted() else 200


def show(template: str, **values: object) -> ResponseReturnValue:
    """Something to read, in the dialog or as a page."""
    return render_template(template, show_layout=f"layout/show_{'modal' if in_modal() else 'page'}.html", **values)


def done(url: str, code: str, **parameters: str) -> ResponseReturnValue:
    """On to `url` after a change, which tells what was done: once it is, as the database may refuse to the last."""
    after_this_request(partial(_tell, code=code, parameters=parameters))
    if request.headers.get("HX-Request"):
        # A browser that is told to go where it is only moves to the fragment: the page has to be loaded anew.
        stays = urldefrag(request.headers.get("HX-Current-URL", "")).url.endswith(urldefrag(url).url)
        return Response(status=204, headers={"HX-Refresh": "true"} if stays else {"HX-Redirect": url})
    return redirect(url, 303)


def _tell(response: Response, code: str, parameters: Mapping[str, str]) -> Response:
    if response.status_code < HTTPStatus.BAD_REQUEST:
        flash({"code": code, "parameters": parameters}, "success")  # type: ignore[arg-type] # Flask stores any JSON
    return response


def live(template: str, **values: object) -> ResponseReturnValue:
    """A part of a page that is polled: 304 while it stays the same. The browser's script turns times into words."""
    g.absolute_times = True
    page = render_template(template, **values)
    response = make_response(page)
    response.set_etag(sha256(_lasting(page).encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


def _lasting(page: str) -> str:
    """With the secret of the forms' tokens in their place: a token carries the second it was made in."""
    token: str | None = g.get("csrf_token")
    return page.replace(token, session["csrf_token"]) if token else page


def gone(noun: str) -> ResponseReturnValue:
    """Instead of a part whose object was deleted meanwhile; it isn't polled any more."""
    return render_template("layout/gone.html", noun=noun), STOP_POLLING


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging(Generic[Item]):
    """One page of a long list, and where it stands."""

    items: Sequence[Item]
    total: int
    page: int
    query: str = ""
    size: int = PAGE_SIZE

    @property
    def pages(self) -> int:
        """How many pages there are; one when the list is empty."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """The number of the first item here."""
        return (self.page - 1) * self.size + 1

    @property
    def last(self) -> int:
        """The number of the last item here."""
        return min(self.page * self.size, self.total)


def paged(found: Sequence[Item], query: str = "", size: int = PAGE_SIZE) -> Paging[Item]:
    """The page of a list that the address asks for; the last one where it asks for a later one."""
    page = min(wanted_page(), max(1, -(-len(found) // size)))
    start = (page - 1) * size
    return Paging(items=found[start : start + size], total=len(found), page=page, query=query, size=size)


def wanted_page() -> int:
    """The page number of the address, at least 1."""
    return min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)


def suggested(*names: str, many: Sequence[str] = ()) -> dict[str, str | list[str]]:
    """What the address of a form suggests for these fields, those in `many` being lists; a link fills them in."""
    single: dict[str, str | list[str]] = {name: request.args[name] for name in names if name in request.args}
    return single | {name: request.args.getlist(name) for name in many if name in request.args}


def search_text() -> str:
    """What was searched for."""
    return request.args.get("q", "").strip()[:100]
