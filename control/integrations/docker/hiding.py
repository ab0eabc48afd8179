"""Secrets that containers are made with, and words of engines and proxies, which may repeat them in errors."""

from collections.abc import Iterable, Mapping
from typing import Any

from control.integrations.docker.spec import TOKEN_VARIABLE

_HIDDEN = "…"


def tokens_in(config: Mapping[str, Any]) -> frozenset[str]:
    """The tokens in the environment of a container, by a request for it or by what its engine tells (Config)."""
    lines = [line for line in config.get("Env") or () if isinstance(line, str)]
    pairs = (line.partition("=") for line in lines)
    return frozenset(value for name, _, value in pairs if name == TOKEN_VARIABLE and value)


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text without these."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text
