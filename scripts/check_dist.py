"""Look into the built wheel and sdist: what must be in, what must not, and how large they are.

``check_dist.py [--release] FOLDER``. With ``--release``, what a release must not have is refused
too: a version of no tag, and addresses that stand for ones not chosen yet.
"""

from __future__ import annotations

import re
import sys
import tarfile
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

PACKAGE = "napari_dre_slcl"
NEEDED = (
    "icon.png",
    "napari.yaml",
    "py.typed",
    "gui/sample/sample.dreslcl.npz",
    "gui/sample/model/model.json",
    "gui/sample/model/model.safetensors",
    "gui/sample/model/text/directions.npy",
)
IN_SDIST = ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py")
MIB = 2**20
MOST_WHEEL, MOST_SDIST = 3 * MIB, 20 * MIB
PLACEHOLDER = "example.org"


def wheel_faults(path: Path) -> list[str]:
    """Return what is wrong with the files of a wheel."""
    with ZipFile(path) as wheel:
        names = set(wheel.namelist())
    missing = [name for name in NEEDED if f"{PACKAGE}/{name}" not in names]
    tops = {name.split("/")[0] for name in names}
    strangers = {top for top in tops if top != PACKAGE and not top.endswith(".dist-info")}
    faults = [f"{path.name} lacks {name}" for name in missing]
    faults += [f"{path.name} has {top}, which is no part of the package" for top in strangers]
    return faults + too_large(path, MOST_WHEEL)


def sdist_faults(path: Path) -> list[str]:
    """Return what is wrong with the files of an sdist."""
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = [*IN_SDIST, *(f"src/{PACKAGE}/{name}" for name in NEEDED)]
    faults = [f"{path.name} lacks {name}" for name in wanted if name not in names]
    return faults + too_large(path, MOST_SDIST)


def too_large(path: Path, most: int) -> list[str]:
    """Return a sentence where a file is larger than it may be."""
    size = path.stat().st_size
    if size <= most:
        return []
    return [f"{path.name} has {size / MIB:.1f} MiB, more than {most / MIB:.0f}"]


def release_faults(path: Path) -> list[str]:
    """Return what keeps a wheel from being published."""
    with ZipFile(path) as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(wheel.read(name).decode())
    faults = []
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", metadata["Version"]):
        faults.append(f"{metadata['Version']} is no version of a tag such as v0.1.0")
    urls = [url for url in metadata.get_all("Project-URL") or () if PLACEHOLDER in url]
    return faults + [
        f"'{url}' in pyproject.toml stands for an address to be chosen" for url in urls
    ]


def main(arguments: list[str]) -> int:
    """Check a folder; 1 where something is wrong."""
    folder = Path(arguments[-1])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    faults = wheel_faults(wheel) + sdist_faults(sdist)
    if "--release" in arguments:
        faults += release_faults(wheel)
    for path in (wheel, sdist):
        print(f"{path.name}: {path.stat().st_size / MIB:.1f} MiB")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
