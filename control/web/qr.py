"""QR codes as SVG within the page: no picture to fetch, no inline style, dark on white in every theme for cameras."""

import segno
from markupsafe import Markup

# Modules around the code (ISO/IEC 18004 asks for four).
QUIET_ZONE = 4


def qr_code(text: str, label: str) -> Markup:
    """The text as a code that survives 15 % of damage; `label` is what screen readers say of it."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        dark="#000", light="#fff", border=QUIET_ZONE, omitsize=True, svgclass="g-qr", lineclass=None
    )
    named = Markup('<svg role="img" aria-label="{}" ').format(label)
    return named + Markup(drawn.removeprefix("<svg "))  # noqa: S704 - segno writes numbers alone, none of the text
