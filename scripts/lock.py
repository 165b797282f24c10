"""Write requirements/demo.txt anew: exact versions and hashes of what `make demo` needs.

What builds us is in it too. The newest versions that pyproject.toml allows, for Linux on x86_64,
Python 3.11 and no GPU; torch is apart, in requirements/torch-cpu.txt. uv resolves; of its answer
only the wheels that fit there are kept, so that no other file of the same version is taken.
Run by `make lock`; needs uv and packaging.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 11)
GLIBC_MINORS = range(28, 4, -1)  # torch's wheels need 2.28 themselves
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in GLIBC_MINORS]
PLATFORMS += [f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")] + ["linux_x86_64"]
APART = {"torch", "napari-dre-slcl"}


def fitting_tags() -> frozenset[Tag]:
    """Tags of the wheels that Python 3.11 takes on Linux x86_64."""
    own = cpython_tags(PYTHON, abis=["cp311"], platforms=PLATFORMS)
    return frozenset((*own, *compatible_tags(PYTHON, interpreter="cp311", platforms=PLATFORMS)))


def resolve(folder: Path) -> list[dict]:
    """Ask uv for the packages for the extra `all` and of our build, each with its files."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    lock = folder / "pylock.toml"
    command = ["uv", "pip", "compile", "--quiet", "--config-file", "requirements/uv.toml"]
    command += ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
    command += ["--only-binary", ":all:", "--generate-hashes", "-c", "constraints.txt"]
    command += ["--extra", "all", "pyproject.toml", "-", "-o", str(lock)]
    given = {"input": "\n".join(build), "text": True, "stdout": subprocess.DEVNULL}
    subprocess.run(command, cwd=ROOT, check=True, **given)
    return tomllib.loads(lock.read_text())["packages"]


def line(package: dict, tags: frozenset[Tag]) -> str:
    """One package with the hashes of the wheels that fit, as pip reads it."""
    names = {file["url"].rsplit("/", 1)[-1]: file["hashes"]["sha256"] for file in package["wheels"]}
    hashes = sorted(sha for name, sha in names.items() if parse_wheel_filename(name)[3] & tags)
    if not hashes:
        sys.exit(f"{package['name']} {package['version']} has no wheel for Linux x86_64.")
    options = (f"--hash=sha256:{sha}" for sha in hashes)
    return " \\\n    ".join((f"{package['name']}=={package['version']}", *options))


def main() -> None:
    """Resolve and write."""
    with TemporaryDirectory() as folder:
        packages = [one for one in resolve(Path(folder)) if one["name"] not in APART]
    tags = fitting_tags()
    head = f"# Made by `make lock` on {datetime.date.today()} for Linux x86_64 and Python 3.11."
    lines = [head + " `make demo-locked` installs it.", *(line(one, tags) for one in packages)]
    (ROOT / "requirements/demo.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"requirements/demo.txt: {len(packages)} packages")


if __name__ == "__main__":
    main()
