"""What a browser calls itself (RFC 9110 section 10.1.5), in words for people: "Firefox 128 on Windows".

Pure and forgiving: whatever stands there some words come of it, short and fit for a page. It is what somebody claims
and proves nothing; so pages show the whole of it, too.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class DeviceKind(StrEnum):
    """What a device looks like."""

    COMPUTER = "computer"
    PHONE = "phone"
    PROGRAM = "program"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A browser or program and what it runs on; either may be empty."""

    browser: str
    system: str
    kind: DeviceKind


# In this order: most browsers claim to be those further down, too.
_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Vivaldi", r"Vivaldi/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Headless Chrome", r"HeadlessChrome/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* .*Safari/"),
    ("Internet Explorer", r"(?:MSIE |Trident/.*rv:)(\d+)"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone", DeviceKind.PHONE),
    ("iPad", r"iPad", DeviceKind.PHONE),
    ("Android", r"Android", DeviceKind.PHONE),
    ("Windows", r"Windows", DeviceKind.COMPUTER),
    ("ChromeOS", r"CrOS", DeviceKind.COMPUTER),
    ("macOS", r"Mac OS X|Macintosh", DeviceKind.COMPUTER),
    ("FreeBSD", r"FreeBSD", DeviceKind.COMPUTER),
    ("Linux", r"Linux|X11", DeviceKind.COMPUTER),
)
# The first product (RFC 9110) of what is no browser, such as curl/8.5.0.
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9 ._-]{0,30})(?:/v?(\d+)[\w.-]*)?")
_LONGEST = 1000


def device_of(user_agent: str) -> Device:
    """The device of a User-Agent header."""
    claimed = user_agent[:_LONGEST]
    system, kind = next(
        ((name, kind) for name, pattern, kind in _SYSTEMS if re.search(pattern, claimed)), ("", DeviceKind.UNKNOWN)
    )
    for name, pattern in _BROWSERS:
        found = re.search(pattern, claimed)
        if found is not None:
            return Device(browser=f"{name} {_short(found[1])}", system=system, kind=kind)
    return _program(claimed, system)


def _program(claimed: str, system: str) -> Device:
    found = _PRODUCT.match(claimed)
    if found is None or found[1].strip() == "Mozilla":
        return Device(browser="", system=system, kind=DeviceKind.UNKNOWN)
    version = f" {_short(found[2])}" if found[2] else ""
    return Device(browser=found[1].strip() + version, system=system, kind=DeviceKind.PROGRAM)


def _short(version: str) -> str:
    return version[:6]
