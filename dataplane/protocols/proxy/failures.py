"""What becomes of a failure on the way to an application: a status, and the template that has the words."""

from typing import NamedTuple

from dataplane.protocols.proxy.common import Common
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.relay.exchange import Failure
from dataplane.protocols.proxy.signin import RETRY_AFTER
from dataplane.protocols.proxy.told.record import Record


class Page(NamedTuple):
    """Status and template; `retry` whether to say when to come again."""

    status: int
    code: str
    retry: bool = False


_UNREACHABLE = Page(502, "upstream_unreachable")
_LATE = Page(504, "upstream_late")
_BROKEN = Page(502, "upstream_broken")
_PAGES = {
    Failure.UNREACHABLE: _UNREACHABLE,
    Failure.TLS: Page(502, "upstream_untrusted"),
    Failure.FULL: Page(503, "upstream_full", retry=True),
    Failure.LATE_CONNECT: _LATE,
    Failure.LATE_ANSWER: _LATE,
    Failure.STALLED: _LATE,
    Failure.MALFORMED: _BROKEN,
    Failure.RESET: _BROKEN,
    Failure.UPGRADE: _BROKEN,
    Failure.ENDED: Page(403, "session_over"),
    Failure.CLIENT_SLOW: Page(408, "slow_body"),
    Failure.HANDSHAKE: Page(400, "request_broken"),
    Failure.REQUEST: Page(400, "request_broken"),
}
LOOP = Page(508, "upstream_loop")
MISDIRECTED = Page(502, "upstream_misdirected")
OUTSIDE = Page(400, "path_outside")


def page_of(failure: Failure, detail: str) -> Page:
    """The page in place of an answer. Where there is too much at once, `detail` is the limit's name and its page's."""
    return Page(503, detail, retry=True) if failure is Failure.CROWDED else _PAGES.get(failure, _UNREACHABLE)


def refuse(common: Common, record: Record, page: Page, detail: str) -> Response:
    """The page: what happened and what to do, and in detail only to those who can do something about it."""
    seen, person = record.seen, record.person
    common.metrics.refusals[page.code] += 1
    fields = {"request_id": record.id, "host": seen.host, "client": seen.client}
    common.refusals.tell("not passed on: %s: %s", page.code, detail, **fields)
    parameters: dict[str, object] = {
        "application": record.application.provider.application_name if record.application is not None else seen.host,
        "detail": detail if person is not None and person.superuser else "",
    }
    if page.retry:
        parameters["retry_after"] = RETRY_AFTER
    asking = common.asker.visit(record.request, seen, record.id)
    return common.pages.error(page.code, page.status, asking, parameters)
