"""QR codes in pages: nothing inline that the policy forbids, and colours that cameras read in every theme."""

import re
import xml.etree.ElementTree as ET

from control.web.qr import qr_code
from tests.support.markup import inline_code


def test_it_is_well_formed_and_named() -> None:
    drawn = str(qr_code("otpauth://totp/a:b?secret=AAAA", 'for "<you>"'))
    root = ET.fromstring(drawn)
    assert root.get("aria-label") == 'for "<you>"'
    assert root.get("role") == "img"
    assert inline_code(drawn) == []
    assert "style" not in drawn
    assert re.findall(r'(?:fill|stroke)="([^"]+)"', drawn) == ["#fff", "#000"]


def test_its_text_is_not_in_it() -> None:
    assert "secret" not in str(qr_code("otpauth://totp/a:b?secret=AAAA", "code"))
