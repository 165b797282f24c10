"""Compares an act on a file that is new, known, and read without a trial; for other benchmarks."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.trial.proof_book import BOOK_NAME

__all__ = ["compare"]


def compare(name: str, act: Callable[[], object], file: Path, rounds: int) -> None:
    """Print how much longer an act takes with trials, in turn with the same without.

    Parameters
    ----------
    name : str
        Of the act, for the line.
    act : callable
        What reads the file.
    file : Path
        In the folder in which marks are kept.
    rounds : int
        Medians over so many are compared.
    """
    took: dict[str, list[float]] = {"new": [], "known": [], "without": []}
    for _ in range(rounds):
        os.utime(file)  # another one than those that are known
        (file.parent / BOOK_NAME).unlink(missing_ok=True)
        os.environ["DRE_SLCL_PROBE"] = "on"
        took["new"].append(_seconds(act))
        took["known"].append(_seconds(act))
        os.environ["DRE_SLCL_PROBE"] = "off"
        took["without"].append(_seconds(act))
    middle = {case: statistics.median(times) for case, times in took.items()}
    for case in ("new", "known"):
        extra_ms = 1000 * (middle[case] - middle["without"])
        ratio = middle[case] / middle["without"]
        print(f"{name}, {case} file: {ratio:.2f} times as long, {extra_ms:+.0f} ms")


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
