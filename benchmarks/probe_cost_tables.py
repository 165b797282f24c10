"""What it costs to read a table with and without a trial process before.

    python benchmarks/probe_cost_tables.py --rows 1000

Makes a cohort table as Excel workbook and as Parquet file, and prints for each: the first reading
ever with the process warm, a later reading of a table that has proved itself, and the command
`dre-slcl cohort check` on a new table, each as a ratio to the same without trials. Medians over
rounds, in turn, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from trial_cost import compare

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.trial.kinds import kind_of
from napari_dre_slcl.trial.proof import start_now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DRE_SLCL_CONFIG_DIR"] = folder
        for table in _tables(Path(folder), options.rows):
            start_now(kind_of(table.suffix))
            _read(table)
            compare(
                f"{table.suffix}, read", lambda table=table: _read(table), table, options.rounds
            )
            compare(
                f"{table.suffix}, command", lambda table=table: _check(table), table, options.rounds
            )


def _tables(folder: Path, n_rows: int) -> tuple[Path, Path]:
    frame = pd.DataFrame(
        {
            "slide_id": [f"S{number}" for number in range(n_rows)],
            "patient_id": [f"P{number // 2}" for number in range(n_rows)],
            "subtype": [("LUAD", "LUSC")[number % 2] for number in range(n_rows)],
            "report": [f"Invasive tumour of {number} mm. " * 20 for number in range(n_rows)],
        }
    )
    frame.to_excel(folder / "a.xlsx", index=False)
    frame.to_parquet(folder / "a.parquet")
    return folder / "a.xlsx", folder / "a.parquet"


def _read(table: Path) -> None:
    read_cohort(table, needs_slides=False)


def _check(table: Path) -> None:
    command = [sys.executable, "-m", "napari_dre_slcl.cli.app", "cohort", "check", str(table)]
    nowhere = subprocess.DEVNULL
    subprocess.run(command, check=False, stdout=nowhere, stderr=nowhere)


if __name__ == "__main__":
    main()
