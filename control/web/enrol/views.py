"""The enrolment endpoint: bytes in, `control.fleet.enrolment` decides, bytes out."""

import json
import logging
import time

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from control.fleet.enrolment import OK, Answer, Message, enrol
from control.fleet.enrolment_trail import Trail
from control.web.context import request_id, web
from control.web.enrol.limiter import FailureLimiter, Limits

MAX_BODY = 16 * 1024
RETRY_SECONDS = 5
# Who stands in a range the front door trusts chooses its own address, and with each a fresh allowance. So that the
# audit trail can't be flooded, only so many failures of all sources are recorded; a proven token is always heard.
RECORDED, ANYBODY = Limits(failures=120, addresses=1), ""
TOO_LARGE, TOO_MANY, UNAVAILABLE = 413, 429, 503

log = logging.getLogger("control.web.enrol")


def make_blueprint(limiter: FailureLimiter | None = None) -> Blueprint:
    """The endpoint, with a memory of its own for who failed."""
    failures = limiter or FailureLimiter(time.monotonic)
    strangers = FailureLimiter(time.monotonic, RECORDED)
    trail = Trail()
    blueprint = Blueprint("enrol", __name__)

    @blueprint.post("/-/enrol")
    def enrol_outpost() -> Response:
        """Trade a proof of the token for a certificate."""
        address = request.remote_addr or ""
        wait = failures.wait(address)
        if wait > 0:
            return _refusal(TOO_MANY, "rate_limited", retry=wait)
        record = strangers.wait(ANYBODY) <= 0
        addresses = web().settings.link_addresses
        answer = enrol(web().store, _message(address), addresses, trail=trail, record_strangers=record)
        if answer.status != OK:
            failures.note(address)
            strangers.note(ANYBODY)
            fields = {"code": answer.code, "address": address, "request_id": request_id()}
            log.warning("refused an enrolment", extra=fields)
        return _response(answer)

    blueprint.register_error_handler(Exception, _failed)
    return blueprint


def _message(address: str) -> Message:
    request.max_content_length = MAX_BODY
    return Message(
        body=request.get_data(cache=False),
        mac=request.headers.get("X-Garrison-Mac", ""),
        address=address,
        request_id=request_id(),
    )


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, mimetype="application/json")
    if answer.mac:
        response.headers["X-Garrison-Mac"] = answer.mac
    response.headers["Cache-Control"] = "no-store"
    return response


def _failed(error: Exception) -> Response:
    """Whatever goes wrong here is told to a machine, in its format and without inner details."""
    if isinstance(error, RequestEntityTooLarge):
        return _refusal(TOO_LARGE, "bad_request", detail=f"the body: expected at most {MAX_BODY} bytes")
    if isinstance(error, HTTPException):
        return _refusal(error.code or UNAVAILABLE, "bad_request", detail=error.name)
    log.error("enrolment failed", exc_info=error, extra={"request_id": request_id()})
    return _refusal(UNAVAILABLE, "unavailable", retry=RETRY_SECONDS)


def _refusal(status: int, code: str, detail: str = "", retry: float = 0.0) -> Response:
    fields = {"error": code, **({"detail": detail} if detail else {})}
    response = Response(json.dumps(fields), status, mimetype="application/json")
    if retry:
        response.headers["Retry-After"] = str(int(retry) + 1)
    return response
