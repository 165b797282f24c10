"""Command line: ``python -m torture [--seed 0] [--share 1] [--only NAME ...] [--out FILE.md]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from napari_dre_slcl.atomic_file import atomic_path
from torture.parts import NAMES, PIECES, run_part
from torture.plan import Plan
from torture.row import Row, as_markdown


def main() -> int:
    """Run the parts that are asked for, print the table; 0 if every row survived."""
    options = _options()
    rows: list[Row] = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        for name in options.only or NAMES:
            place = Path(folder) / name
            place.mkdir()
            for row in run_part(name, Plan(options.seed, options.share, place, _say)):
                rows.append(row)
                _say(" | ".join(row.cells()))
                if options.out is not None:  # a run of hours may be broken off
                    with atomic_path(options.out) as aside:
                        aside.write_text(as_markdown(rows), encoding="utf-8")
    minutes = (time.monotonic() - begun) / 60
    print(f"{as_markdown(rows)}\n{len(rows)} faults in {minutes:.0f} minutes; seed {options.seed}.")
    return 0 if rows and all(row.is_passed for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="The same seed tries the same.")
    parser.add_argument("--share", type=float, default=1.0, help="1 takes an hour or two.")
    parser.add_argument("--only", nargs="+", choices=(*NAMES, *PIECES), help="Parts to run.")
    parser.add_argument("--out", type=Path, help="A file for the table, written row by row.")
    options = parser.parse_args()
    if not 0 < options.share <= 10:
        parser.error(f"--share is above 0 and at most 10, not {options.share:g}")
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
