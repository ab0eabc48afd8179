"""Pages and errors for people: rendered from templates, which hold every word. Code here knows codes and parameters.

An error is HTML or JSON by what the client accepts; both name the request's id, so that a log line can be found.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.messages import Headers, Response

STATIC_PATH = b"/outpost.goauthentik.io/static/"

_SAFETY: Headers = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (
        b"Content-Security-Policy",
        (
            b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
            b"frame-ancestors 'none'"
        ),
    ),
)

_TYPES = {"css": b"text/css; charset=utf-8", "svg": b"image/svg+xml"}


class Pages:
    """The templates and static files, read once."""

    def __init__(self) -> None:
        package = "dataplane.protocols.proxy"
        self._templates = Environment(
            loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, auto_reload=False,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        for name in self._templates.list_templates():  # now: when a page is needed, there may be no file to be opened
            self._templates.get_template(name)
        files = [file for file in (resources.files(package) / "static").iterdir() if not file.name.startswith("_")]
        self._static = {file.name.encode(): (_type_of(file.name), file.read_bytes()) for file in files}
        self._version = hashlib.sha256(self._static[b"page.css"][1]).hexdigest()[:8]

    def error(self, code: str, status: int, asking: Asking, parameters: Mapping[str, object]) -> Response:
        """The error `code` as a page or as JSON. `retry_after` among the parameters becomes a header."""
        template = self._templates.get_template(f"{code}.html")
        values = {"asking": asking, "status": status, "code": code, "version": self._version, **parameters}
        headers = (*_SAFETY, (b"X-Request-Id", asking.id.encode()))
        if "retry_after" in parameters:
            headers += ((b"Retry-After", str(parameters["retry_after"]).encode()),)
        if asking.wants_json:
            message = "".join(template.blocks["message"](template.new_context(values)))
            content = {
                "error": code,
                "message": " ".join(Markup(message).striptags().split()),  # noqa: S704  # text, not markup, comes out
                "request_id": asking.id,
            }
            if parameters.get("detail"):
                content["detail"] = str(parameters["detail"])
            return json_response(status, content, headers)
        body = template.render(values).encode()
        return Response(status=status, headers=((b"Content-Type", b"text/html; charset=utf-8"), *headers), body=body)

    def find_static(self, path: bytes) -> Response | None:
        """A static file below STATIC_PATH."""
        found = self._static.get(path[len(STATIC_PATH) :])
        if found is None:
            return None
        kind, content = found
        caching = ((b"Content-Type", kind), (b"Cache-Control", b"public, max-age=86400"), *_SAFETY[1:])
        return Response(status=200, headers=caching, body=content)


def json_response(status: int, content: Mapping[str, object], headers: Headers = _SAFETY) -> Response:
    """A JSON answer."""
    body = json.dumps(content, ensure_ascii=False).encode() + b"\n"
    return Response(status=status, headers=((b"Content-Type", b"application/json"), *headers), body=body)


def redirect(url: str, cookies: Headers = ()) -> Response:
    """A 302 that no cache keeps."""
    return Response(status=302, headers=((b"Location", url.encode()), (b"Cache-Control", b"no-store"), *cookies))


def _type_of(name: str) -> bytes:
    return _TYPES[name.rpartition(".")[2]]
