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
    # What lies under white words has to be darker than what is read on a dark page.
    dark_ground: Colour = Colour(hex="#5265e6")
    dark_ground_hover: Colour = Colour(hex="#4759d6")

    def style_sheet(self) -> str:
        """The variables of Tabler that carry the colours."""
        light = _scheme(self.light, self.light_hover) | _grounds(self.light, self.light_hover)
        dark = _scheme(self.dark, self.dark_hover) | _grounds(self.dark_ground, self.dark_ground_hover)
        return _rule(":root", light) + _rule('[data-bs-theme="dark"]', dark)

    def digest(self) -> str:
        """Names this version of the style sheet."""
        return hashlib.sha256(self.style_sheet().encode()).hexdigest()[:12]


def _scheme(main: Colour, hover: Colour) -> dict[str, str]:
    return {
        "tblr-primary": main.hex,
        "tblr-primary-rgb": main.rgb,
        "tblr-primary-darken": hover.hex,
        "tblr-link-color": main.hex,
        "tblr-link-color-rgb": main.rgb,
        "tblr-link-hover-color": hover.hex,
        "tblr-link-hover-color-rgb": hover.rgb,
    }


def _grounds(main: Colour, hover: Colour) -> dict[str, str]:
    return {"g-ground": main.hex, "g-ground-hover": hover.hex}


def _rule(selector: str, names: dict[str, str]) -> str:
    return selector + "{" + "".join(f"--{name}:{value};" for name, value in names.items()) + "}\n"
