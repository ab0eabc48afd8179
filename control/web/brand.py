"""The one record of what the product is called and what it looks like.

Titles come from here by way of the templates; the colours become a small style sheet that the app serves itself, so
a changed brand needs no build.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """A colour as #rrggbb."""

    hex: str

    @property
    def rgb(self) -> str:
        """The three numbers, as Tabler's `-rgb` variables want them."""
        return ", ".join(str(int(self.hex[start : start + 2], 16)) for start in (1, 3, 5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """Name, logo (a template that holds inline SVG) and the colours of light and dark pages."""

    title: str = "Garrison"
    logo: str = "brand/logo.svg"
    light: Colour = Colour(hex="#3b4fd8")
    light_hover: Colour = Colour(hex="#2f40b4")
    dark: Colour = Colour(hex="#6f83ff")
    dark_hover: Colour = Colour(hex="#8a9aff")

    def style_sheet(self) -> str:
        """The variables of Tabler that carry the colours."""
        return _scheme(":root", self.light, self.light_hover) + _scheme(
            '[data-bs-theme="dark"]', self.dark, self.dark_hover
        )

    def digest(self) -> str:
        """Names this version of the style sheet."""
        return hashlib.sha256(self.style_sheet().encode()).hexdigest()[:12]


def _scheme(selector: str, main: Colour, hover: Colour) -> str:
    names = {
        "primary": main.hex,
        "primary-rgb": main.rgb,
        "primary-darken": hover.hex,
        "link-color": main.hex,
        "link-color-rgb": main.rgb,
        "link-hover-color": hover.hex,
        "link-hover-color-rgb": hover.rgb,
    }
    return selector + "{" + "".join(f"--tblr-{name}:{value};" for name, value in names.items()) + "}\n"
