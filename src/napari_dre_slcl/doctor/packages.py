"""Python and the packages: there, and of versions that this package is made for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from napari_dre_slcl.doctor.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["check_packages", "check_python"]

_US = "napari-dre-slcl"
_FOR_DEVELOPERS = {"test"}


def check_python() -> list[Finding]:
    """Compare this Python with the versions that the package is made for."""
    says = f"{platform.python_version()} ({platform.machine()}, {sys.executable})"
    if sys.maxsize < 2**32:
        return [
            problem("Python", f"{says} has 32 bits", "Install a Python of 64 bits; torch has none.")
        ]
    try:
        from packaging.specifiers import SpecifierSet

        wanted = SpecifierSet(metadata.metadata(_US)["Requires-Python"] or "")
    except (ImportError, metadata.PackageNotFoundError) as error:
        return [problem("Python", f"{says}; versions cannot be compared: {error}", _reinstall())]
    if not wanted.contains(platform.python_version(), prereleases=True):
        return [problem("Python", f"{says} is not {wanted}", f"Install a Python {wanted}.")]
    return [ok("Python", says)]


def check_packages() -> list[Finding]:
    """Compare the installed packages with the bounds in this package's own metadata."""
    try:
        from packaging.requirements import Requirement

        wanted = [Requirement(text) for text in metadata.requires(_US) or ()]
    except (ImportError, metadata.PackageNotFoundError) as error:
        return [problem("Packages", f"cannot be compared: {error}", _reinstall())]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [finding for one in needed if (finding := _checked(one)) is not None]
    extras = list(_extras(wanted))
    right = len(needed) - len(wrong)
    head = [ok("Packages", f"{right} of {len(needed)} needed ones are there and new enough")]
    return [*(head if right else []), *wrong, *extras]


def _checked(wanted: Requirement) -> Finding | None:
    """Return what is wrong with a needed package; None where nothing is."""
    how = f'pip install "{wanted.name}{wanted.specifier}"'
    version = _version(wanted.name)
    if version is None:
        return problem(wanted.name, "is not installed", how)
    if not wanted.specifier.contains(version, prereleases=True):
        return problem(wanted.name, f"{version} is installed, {wanted.specifier} is needed", how)
    return None


def _extras(wanted: list[Requirement]) -> Iterator[Finding]:
    """Yield what is installed for an extra in a version it was not made for, and what is not."""
    names = set(metadata.metadata(_US).get_all("Provides-Extra") or ()) - _FOR_DEVELOPERS
    absent = []
    for extra in sorted(names - {"all"}):
        own = [
            one
            for one in wanted
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
        ]
        versions = {one.name: _version(one.name) for one in own}
        if None in versions.values():
            absent.append(extra)
        for one in own:
            version = versions[one.name]
            if version is not None and not one.specifier.contains(version, prereleases=True):
                says = f"{version} is installed, the extra '{extra}' is made for {one.specifier}"
                yield warning(one.name, says, f'pip install "{one.name}{one.specifier}"')
    if absent:
        yield ok("Extras", f"not installed, and needed by some only: {', '.join(absent)}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _reinstall() -> str:
    return f"Install the package with its dependencies: pip install {_US}"
