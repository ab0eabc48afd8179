"""Compiles some modules with mypyc (dataplane/compiled.py) where mypy, a C compiler and Python's headers are at hand.

Where one is missing, or with GARRISON_PURE=1, the package is the same without the compiled form, and slower.
All else about the package is in pyproject.toml.
"""

import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Builders stand in this folder, but need not look for modules in it.
sys.path.insert(0, str(Path(__file__).parent))

from dataplane import compiled
from dataplane.protocols import ldap

PACKAGE_FOLDER = Path("dataplane", "protocols", "ldap")
LIBRARY = "dataplane.protocols.ldap.hotpath"


def extensions() -> list[Extension]:
    """The compiled modules, each in the folder that its sources name; none where they can't be made."""
    if compiled.is_pure():
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        return _without("mypy is not installed")
    sources = [str(PACKAGE_FOLDER / f"{name}.py") for name in ldap.COMPILED]
    folder = compiled.folder(PACKAGE_FOLDER, ldap.COMPILED)
    try:
        made = mypycify(
            ["--cache-dir=build/mypy", *sources],
            opt_level="1",
            debug_level="0",
            group_name=LIBRARY,
            target_dir="build/c",
        )
    except SystemExit:  # how it says that the types don't fit
        return _without("mypyc refuses the modules")
    if folder != compiled.folder(PACKAGE_FOLDER, ldap.COMPILED):
        return _without("the modules were changed meanwhile")
    for extension in made:
        extension.name = f"{'.'.join(folder.parts)}.{extension.name.rpartition('.')[2]}"
    return list(made)


class AllOrNothing(build_ext):
    """Modules that can't all be compiled stay as they are."""

    def build_extensions(self) -> None:
        """Compile them."""
        try:
            super().build_extensions()
        except Exception as error:  # noqa: BLE001  whatever a compiler or its absence may raise
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = _without(str(error))

    def copy_extensions_to_source(self) -> None:
        """Put them where this checkout finds them, and take away those of other sources."""
        if self.extensions:
            folder = Path(*self.extensions[0].name.split(".")[:-1])
            shutil.rmtree(folder.parent, ignore_errors=True)
            folder.mkdir(parents=True)
        super().copy_extensions_to_source()


def _without(reason: str) -> list[Extension]:
    sys.stderr.write(f"nothing is compiled: {reason}\n")
    return []


setup(ext_modules=extensions(), cmdclass={"build_ext": AllOrNothing})
