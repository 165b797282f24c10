"""What a run was started with, as hashes: a checkpoint is refused where any of it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_dre_slcl.engine.feature_source import FeatureSource, Source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.run_state import RunIdentity
from napari_dre_slcl.errors import JobError

__all__ = ["check_files", "check_slides", "identify"]


def identify(run_dir: Path, prepared: PreparedCohort) -> RunIdentity:
    """Return the hashes of a run's files, cohort table and slides.

    Raises
    ------
    JobError
        If a file cannot be read.
    """
    return RunIdentity(
        config=_sha256(run_dir / "config.toml"),
        job=_sha256(run_dir / "job.json"),
        cohort=_sha256(prepared.cohort.table),
        slides=_slides_sha256(prepared),
    )


def check_files(identity: RunIdentity, run_dir: Path, cohort: Path) -> None:
    """Refuse to go on where settings, job or cohort table changed.

    Raises
    ------
    JobError
        If one of them is not as it was.
    """
    for path, before, what in (
        (run_dir / "config.toml", identity.config, "settings"),
        (run_dir / "job.json", identity.job, "job"),
        (cohort, identity.cohort, "cohort table"),
    ):
        if _sha256(path) != before:
            raise JobError(
                f"The {what} '{path}' changed after the run had started, and its checkpoint fits "
                "the old one only. Undo the change to go on, or start a new run."
            )


def check_slides(identity: RunIdentity, prepared: PreparedCohort) -> None:
    """Refuse to go on where the slides, their split or their tiles are others.

    Raises
    ------
    JobError
        If they are.
    """
    if _slides_sha256(prepared) != identity.slides:
        raise JobError(
            f"The slides of the cohort '{prepared.cohort.table}', or their tiles, are not those "
            "that the run was started with. Bring the old files back to go on, or start a new run."
        )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise JobError(
            f"The run cannot go on because '{path}' cannot be read: {error.strerror}."
        ) from error


def _slides_sha256(prepared: PreparedCohort) -> str:
    digest = hashlib.sha256()
    sources: Sequence[Source] = prepared.sources
    for row, split, source in zip(prepared.cohort.rows, prepared.split, sources, strict=True):
        if isinstance(source, FeatureSource):
            place = f"{source.file.n_tiles}x{source.file.dim}".encode()
        else:
            place = np.ascontiguousarray(source.grid.yx, np.int64).tobytes()
            place += str(source.grid.size_px).encode()
        digest.update(f"{row.slide_id}\x1f{split}\x1f".encode() + place)
    return digest.hexdigest()
