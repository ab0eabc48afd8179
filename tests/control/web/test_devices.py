"""Browsers in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web.devices import Device, DeviceKind, device_of

COMPUTER, PHONE, PROGRAM = DeviceKind.COMPUTER, DeviceKind.PHONE, DeviceKind.PROGRAM
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("claimed", "browser", "system", "kind"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
            "Chrome 126",
            "Windows",
            COMPUTER,
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/126.0 Safari/537.36 Edg/126.0.1",
            "Edge 126",
            "Windows",
            COMPUTER,
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/125.0 Safari/537.36 OPR/111.0",
            "Opera 111",
            "Linux",
            COMPUTER,
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/130.0 Safari/537.36",
            "Headless Chrome 130",
            "Linux",
            COMPUTER,
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541) {WEBKIT} Chrome/120.0 Safari/537.36",
            "Chrome 120",
            "ChromeOS",
            COMPUTER,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128", "Linux", COMPUTER),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) {APPLE} Version/17.5 Safari/605.1.15",
            "Safari 17",
            "macOS",
            COMPUTER,
        ),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {APPLE} Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari 17",
            "iPhone",
            PHONE,
        ),
        (
            f"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) {APPLE} CriOS/126.0 Mobile Safari/604.1",
            "Chrome 126",
            "iPad",
            PHONE,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/126.0 Mobile Safari/537.36",
            "Chrome 126",
            "Android",
            PHONE,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14; SM-S921B) {WEBKIT} SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36",
            "Samsung Internet 25",
            "Android",
            PHONE,
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
            "Internet Explorer 11",
            "Windows",
            COMPUTER,
        ),
        ("curl/8.5.0", "curl 8", "", PROGRAM),
        ("Lynx", "Lynx", "", PROGRAM),
        ("python-requests/2.32.3", "python-requests 2", "", PROGRAM),
        ("Mozilla/5.0 (Linux) Unheard", "", "Linux", DeviceKind.UNKNOWN),
        ("", "", "", DeviceKind.UNKNOWN),
        ("<script>", "", "", DeviceKind.UNKNOWN),
    ],
)
def test_what_browsers_call_themselves(claimed: str, browser: str, system: str, kind: DeviceKind) -> None:
    assert device_of(claimed) == Device(browser=browser, system=system, kind=kind)


@given(st.text() | st.from_regex(r"(Firefox|Chrome|MSIE |Version|[A-Za-z]+)/?\d+.*Safari/", fullmatch=True))
def test_whatever_is_claimed_the_words_are_few(claimed: str) -> None:
    device = device_of(claimed)
    assert len(device.browser) <= 40
    assert (device.browser + device.system).isprintable()
