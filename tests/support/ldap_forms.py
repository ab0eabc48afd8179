"""The LDAP codec in both its forms, side by side: as Python, and compiled where it was compiled."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from dataplane.protocols import ldap

PACKAGE = ldap.__name__
MODULES = ("ber", "filterwire", "values", "wire", "session")


@dataclass(frozen=True, slots=True)
class Codec:
    """The modules of one form; they share the classes of messages and faults."""

    ber: Any
    filterwire: Any
    values: Any
    wire: Any
    session: Any


def running() -> Codec:
    """The form that runs."""
    return Codec(*(import_module(f"{PACKAGE}.{name}") for name in MODULES))


def compiled() -> Codec:
    """The form that runs; skips the test where that is Python."""
    codec = running()
    if str(codec.wire.__file__).endswith(".py"):
        pytest.skip("the codec isn't compiled here: make setup says why")
    return codec


@cache
def interpreted() -> Codec:
    """The sources, imported beside what runs."""
    package = sys.modules[PACKAGE]
    kept_path = ldap.__path__
    kept = {name: sys.modules.pop(f"{PACKAGE}.{name}", None) for name in ldap.COMPILED}
    attributes = {name: package.__dict__.pop(name) for name in ldap.COMPILED if name in package.__dict__}
    ldap.__path__ = kept_path[-1:]
    try:
        return Codec(*(import_module(f"{PACKAGE}.{name}") for name in MODULES))
    finally:
        ldap.__path__ = kept_path
        _put_back(ldap.COMPILED, kept, attributes)


def _put_back(names: Sequence[str], kept: dict[str, ModuleType | None], attributes: dict[str, object]) -> None:
    package = sys.modules[PACKAGE]
    for name in names:
        sys.modules.pop(f"{PACKAGE}.{name}", None)
        package.__dict__.pop(name, None)
        if (module := kept[name]) is not None:
            sys.modules[f"{PACKAGE}.{name}"] = module
    package.__dict__.update(attributes)
