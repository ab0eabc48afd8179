"""Writes the bill of materials of an image, as CycloneDX JSON, while the image is built: what is in it, which version.

That is each Python package of the environment given, the Python that runs them, and each Debian package of the base.
What a wheel has compiled into it, such as the OpenSSL of `cryptography`, no package says; it isn't listed.
It runs inside the image's base, by an interpreter that has cyclonedx-python-lib; nothing of that stays in the image.
"""

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

OURS = "garrison"
# dpkg's own list, and the one that images without dpkg have, a file for each package.
STATUS, STATUS_FOLDER = Path("/var/lib/dpkg/status"), Path("/var/lib/dpkg/status.d")
INSTALLED = "install ok installed"


def main(words: list[str]) -> int:
    """Take the environment's folder of packages, what the image is called, and the file to write."""
    packages, title, target = words
    Path(target).write_text(JsonV1Dot6(bill(Path(packages), title)).output_as_string(indent=1) + "\n")
    return 0


def bill(packages: Path, title: str) -> Bom:
    """What the image holds. Raises LookupError where Garrison itself isn't among the packages."""
    found = {each.name.lower(): each for each in distributions(path=[str(packages)])}
    if OURS not in found:
        raise LookupError(f"{packages}: no {OURS} among {sorted(found)}")
    bom = Bom()
    root = bom.metadata.component = Component(
        name=title,
        version=found[OURS].version,
        type=ComponentType.CONTAINER,
        bom_ref=title,
    )
    parts = [*map(_of_python, found.values()), _interpreter(), *map(_of_debian, _debian())]
    bom.components.update(parts)
    bom.register_dependency(root, parts)
    return bom


def _of_python(package: Distribution) -> Component:
    url = PackageURL("pypi", name=package.name.lower(), version=package.version)
    wording = _license(package)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.APPLICATION if package.name == OURS else ComponentType.LIBRARY,
        licenses=[LicenseFactory().make_from_string(wording)] if wording else [],
        purl=url,
        bom_ref=str(url),
    )


def _license(package: Distribution) -> str:
    """What the package says, in one line; older ones may have the whole text there, or nothing."""
    said = [package.metadata[key] for key in ("License-Expression", "License") if key in package.metadata]
    return next((words for words in said if words and "\n" not in words), "")


def _interpreter() -> Component:
    url = PackageURL("generic", name="python", version=platform.python_version())
    kind = ComponentType.PLATFORM
    return Component(name="python", version=platform.python_version(), type=kind, purl=url, bom_ref=str(url))


def _of_debian(package: Mapping[str, str]) -> Component:
    about = {"arch": package["Architecture"], "distro": _distribution()}
    url = PackageURL("deb", "debian", package["Package"], package["Version"], about)
    kind = ComponentType.LIBRARY
    return Component(name=package["Package"], version=package["Version"], type=kind, purl=url, bom_ref=str(url))


def _distribution() -> str:
    release = platform.freedesktop_os_release()
    return f"{release['ID']}-{release.get('VERSION_ID', '')}".rstrip("-")


def _debian() -> Iterator[Mapping[str, str]]:
    files = [STATUS, *sorted(path for path in STATUS_FOLDER.glob("*") if path.suffix != ".md5sums")]
    for path in files:
        for stanza in path.read_text().split("\n\n") if path.exists() else ():
            fields = dict(line.partition(": ")[::2] for line in stanza.splitlines() if not line.startswith(" "))
            if fields.get("Status", INSTALLED) == INSTALLED and fields.get("Package"):
                yield fields


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
