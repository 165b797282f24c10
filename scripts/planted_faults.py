"""Plant known faults in a copy of the source, and see whether the torture suite finds each.

    python scripts/planted_faults.py [--share 0.02] [--only PART ...]

Each fault is a change of a few words in one file. A copy of the repository gets it, and the part
of the suite that should see it runs there and must fail; without faults the suite passes. The exit
status is 0 if every fault is found.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOUSE = Path("src", "napari_dre_slcl")


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of the source that a part of the suite must find."""

    name: str
    part: str
    file: str
    before: str
    after: str


FAULTS = (
    Fault(
        "a skipped fsync",
        "disk",
        "atomic_file/durable.py",
        "    stream.flush()\n    os.fsync(stream.fileno())",
        "    stream.flush()",
    ),
    Fault(
        "a pickle load",
        "strangers",
        "model/encoder_weights.py",
        "weights_only=True)",
        "weights_only=False)",
    ),
    Fault(
        "a leaked identifier",
        "private",
        "engine/open_sources.py",
        "                slides[number] = opened.enter_context(slide)",
        '                reporter.log(f"Opened a slide of {row.patient_id}.")\n'
        "                slides[number] = opened.enter_context(slide)",
    ),
    Fault(
        "a double write",
        "kills",
        "engine/embed_tiles.py",
        "return is_of(open_features(item.output), self.origin, item.mpp)",
        "return False",
    ),
    Fault(
        "an unbounded read",
        "slides",
        "slide/tiff_backend.py",
        "            if count > 4 * one.tile_shape[0] * one.tile_shape[1] + 2**16:\n"
        '                raise ValueError(f"{count:,} bytes for one tile")\n',
        "            room = bytearray(count)\n",
    ),
)


def plant(fault: Fault, copy: Path) -> None:
    """Change the file of a copy; the words must stand there once."""
    path = copy / HOUSE / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.before) != 1:
        raise SystemExit(f"{fault.file} has {text.count(fault.before)} times: {fault.before!r}")
    path.write_text(text.replace(fault.before, fault.after), encoding="utf-8")


def is_found(fault: Fault, share: float) -> bool:
    """Run the part of the suite that should see a fault, in a copy that has it."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "copy"
        for name in ("src", "torture"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", copy)
        plant(fault, copy)
        command = [sys.executable, "-m", "torture", "--only", fault.part, "--share", str(share)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(copy / "src"), str(copy)])}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        rows = [line for line in done.stdout.splitlines() if "FAILED" in line]
        print("".join(f"    {row}\n" for row in rows or done.stderr.splitlines()[-3:]), end="")
        return done.returncode == 1 and bool(rows)


def main() -> int:
    """Plant what is asked for; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--only", nargs="+", choices=[fault.part for fault in FAULTS])
    options = parser.parse_args()
    missed = 0
    for fault in FAULTS:
        if options.only and fault.part not in options.only:
            continue
        found = is_found(fault, options.share)
        missed += not found
        print(f"{fault.name} ({fault.part}): {'found' if found else 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
