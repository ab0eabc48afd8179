"""What may stand in an outpost's option: each check takes the value as YAML gave it and returns it typed.

A check raises BadOption with a problem code; `options` says the rest (which key, what was expected).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from control.domain.duration import parse_duration
from control.domain.errors import Invalid

COMPONENTS = (
    "secret",
    "deployment",
    "service",
    "service-metrics",
    "prometheus servicemonitor",
    "ingress",
    "httproute",
    "traefik middleware",
)
_PARENT_REF = {"group": str, "kind": str, "namespace": str, "name": str, "sectionName": str, "port": int}
_PATCHES = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from", "remove": None}
_LONGEST_TEMPLATE = 200
_NAMED = re.compile(r"%\((name|uuid)\)s|%%")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[\x21-\x7e]{1,500}")

Check = Callable[[object], Any]


class BadOption(ValueError):
    """The value can't stand there; the message is a problem code."""


def one_of(*words: str) -> Check:
    """A check for one of the words."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise BadOption("not_a_choice")
        return value

    return check


def member_of(words: type[StrEnum]) -> Check:
    """A check for one of the words of an enumeration, which it gives back."""

    def check(value: object) -> StrEnum:
        if not isinstance(value, str) or value not in [*words]:
            raise BadOption("not_a_choice")
        return words(value)

    return check


def whole(least: int, most: int) -> Check:
    """A check for a whole number between two bounds."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadOption("not_a_number")
        return value

    return check


def optional(inner: Check) -> Check:
    """A check that lets nothing pass as None."""

    def check(value: object) -> object:
        return None if value is None else inner(value)

    return check


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadOption("not_a_boolean")
    return value


def duration(value: object) -> timedelta:
    """A duration longer than none."""
    try:
        found = parse_duration(value, "duration") if isinstance(value, str) else timedelta()
    except Invalid as error:
        raise BadOption(error.problems[0].code) from None
    if not found:
        raise BadOption("not_a_duration")
    return found


def duration_or_never(value: object) -> timedelta:
    """A duration, or none at all for ""."""
    return timedelta() if value == "" else duration(value)


def url(value: object) -> str:
    """An http(s) URL, or "" for none."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not is_http_url(value):
        raise BadOption("not_a_url")
    return value


def naming_template(value: object) -> str:
    """A template of a name; other conversions than the two known ones could fail or fill the memory."""
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > _LONGEST_TEMPLATE
        or "%" in _NAMED.sub("", value)
    ):
        raise BadOption("not_a_template")
    return value


def dns_label(value: object) -> str:
    """An RFC 1123 label."""
    if not isinstance(value, str) or not _DNS_LABEL.fullmatch(value):
        raise BadOption("not_a_name")
    return value


def word(value: object) -> str:
    """Printable text without spaces."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise BadOption("not_a_word")
    return value


def optional_word(value: object) -> str | None:
    """A word, or None where there is nothing."""
    return None if value is None or value == "" else word(value)


def word_or_nothing(value: object) -> str:
    """A word, or "" where there is nothing."""
    return optional_word(value) or ""


def words(value: object) -> tuple[str, ...]:
    """A list of words."""
    return tuple(word(item) for item in _listed(value))


def components(value: object) -> tuple[str, ...]:
    """A list of Kubernetes components."""
    return tuple(_component(item) for item in _listed(value))


def text_mapping(value: object) -> dict[str, str]:
    """A mapping of text to text."""
    return {_text(key): _text(item) for key, item in _mapped(value).items()}


def parent_refs(value: object) -> tuple[Mapping[str, Any], ...]:
    """References to gateways, as an HTTPRoute has them."""
    return tuple(_parent_ref(item) for item in _listed(value))


def json_patches(value: object) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """RFC 6902 operations by component."""
    return {
        _component(key): tuple(_operation(item) for item in _listed(patches)) for key, patches in _mapped(value).items()
    }


def is_http_url(text: str) -> bool:
    """Whether the text is an absolute http(s) URL with a host, and without user, query or fragment."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    plain = _WORD.fullmatch(text) and "@" not in parts.netloc and not parts.query and not parts.fragment
    return bool(plain) and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _component(value: object) -> str:
    if value not in COMPONENTS:
        raise BadOption("not_a_component")
    return str(value)


def _listed(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise BadOption("not_a_list")
    return value


def _mapped(value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise BadOption("not_a_mapping")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadOption("not_text")
    return value


def _parent_ref(value: object) -> Mapping[str, Any]:
    reference = {_text(key): item for key, item in _mapped(value).items()}
    known = all(type(item) is _PARENT_REF.get(key) for key, item in reference.items())
    if not known or not reference.get("name"):
        raise BadOption("not_a_parent_reference")
    return reference


def _operation(value: object) -> Mapping[str, Any]:
    """One operation of RFC 6902 section 4: known `op`, `path` an RFC 6901 pointer, and the member that `op` needs."""
    operation = {_text(key): item for key, item in _mapped(value).items()}
    op, path = operation.get("op"), operation.get("path")
    if not isinstance(op, str) or op not in _PATCHES or not _is_pointer(path):
        raise BadOption("not_a_json_patch")
    needed = _PATCHES[op]
    if needed is not None and (needed not in operation or (needed == "from" and not _is_pointer(operation["from"]))):
        raise BadOption("not_a_json_patch")
    return operation


def _is_pointer(value: object) -> bool:
    return isinstance(value, str) and (value == "" or value.startswith("/"))
