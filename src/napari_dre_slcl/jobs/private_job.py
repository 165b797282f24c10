"""The same job under pseudonyms: its tables, slides and splits are those of the user's own folder.

Done before anything else of a job, so that neither its events nor what it writes knows a name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from napari_dre_slcl.cohort.from_folder import table_of_folder
from napari_dre_slcl.cohort.private_slides import link_file
from napari_dre_slcl.cohort.private_table import (
    private_features,
    private_files,
    private_splits,
    private_table,
    private_vectors,
)
from napari_dre_slcl.cohort.pseudonyms import (
    Pseudonyms,
    is_under_pseudonym,
    load_pseudonyms,
    private_folder,
)
from napari_dre_slcl.cohort.write_sheet import write_sheet
from napari_dre_slcl.jobs.messages import (
    EmbedJob,
    EstimateJob,
    IndexJob,
    Job,
    PredictJob,
    PrivateJob,
    TrainJob,
)

__all__ = ["private_evaluation", "private_job"]

_FEATURES = ("features.folder", "features.fill_from")
_VECTORS = "text.vectors"
_TASKS = "cohort.tasks"

AnyJob = TypeVar("AnyJob", bound=Job)


def private_job(job: AnyJob) -> AnyJob:
    """Return a job that knows no names, where it asks for that; else the job itself.

    Parameters
    ----------
    job : Job
        As the user wants it.

    Raises
    ------
    DreSlclError
        If key, table or links cannot be used.
    """
    wish = _wish(job)
    if wish is None or not wish.pseudonymize:
        return job
    names = load_pseudonyms(wish.pseudonym_key)
    private = job.model_copy(update={**_changes(job, names), "pseudonym_key": None})
    return cast("AnyJob", private)


def private_evaluation(
    cohort: Path,
    folds: str,
    overrides: Mapping[str, Any],
    wanted: Collection[str],
    key_file: Path | None,
) -> tuple[Path, str, dict[str, Any]]:
    """Return table, folds and settings of an evaluation under pseudonyms.

    Parameters
    ----------
    cohort : Path
        The user's own table.
    folds : str
        ``patient``, ``site``, or a folder of split files.
    overrides : mapping
        Changed settings by dotted name.
    wanted : collection of str
        Columns that are needed whatever they hold.
    key_file : Path, optional
        Of the pseudonyms.

    Raises
    ------
    DreSlclError
        If key, table or links cannot be used.
    """
    names = load_pseudonyms(key_file)
    if Path(folds).exists():
        folds = str(private_splits(cohort, Path(folds), names))
    settings = _settings(cohort, overrides, names)
    table = private_table(cohort, names, {*wanted, *_tasks(overrides)})
    return table, folds, settings


def _wish(job: Job) -> PrivateJob | None:
    """Return what a job says of pseudonyms; None for a kind that cannot have them."""
    return job if isinstance(job, PrivateJob) else None


def _changes(job: Job, names: Pseudonyms) -> dict[str, Any]:
    if isinstance(job, TrainJob | EstimateJob):
        changes: dict[str, Any] = {
            "overrides": _settings(job.cohort, job.overrides, names),
            "cohort": private_table(job.cohort, names, _tasks(job.overrides)),
        }
        if isinstance(job, TrainJob) and job.pinned is not None:
            changes["pinned"] = names.slide(job.pinned)
        return changes
    if isinstance(job, IndexJob):
        changes = {"cohort": private_table(job.cohort, names)}
        if job.features is not None:
            changes["features"] = private_features(job.cohort, job.features, names)
        return changes
    if isinstance(job, EmbedJob):
        table = job.cohort if job.slides is None else _table_of(job.slides, names)
        return {"slides": None, "cohort": None if table is None else private_table(table, names)}
    assert isinstance(job, PredictJob)
    return {
        "slides": private_files(job.slides, names),
        "cohort": None if job.cohort is None else private_table(job.cohort, names),
        "mask": None if job.mask is None else _private_mask(job.mask, names),
    }


def _settings(cohort: Path, overrides: Mapping[str, Any], names: Pseudonyms) -> dict[str, Any]:
    """Return settings whose folders of feature files are links."""
    changed = dict(overrides)
    for name in _FEATURES:
        if changed.get(name):
            changed[name] = str(private_features(cohort, Path(changed[name]), names))
    if changed.get(_VECTORS):
        changed[_VECTORS] = str(private_vectors(cohort, Path(changed[_VECTORS]), names))
    return changed


def _tasks(overrides: Mapping[str, Any]) -> tuple[str, ...]:
    given = overrides.get(_TASKS) or ()
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(str(part).strip(" []'\"") for part in parts)


def _table_of(slides: Path, names: Pseudonyms) -> Path:
    """Write the table of a folder of slides, in the user's own folder."""
    if is_under_pseudonym(slides):
        return slides
    folder = private_folder() / f"folder-{names.tag('folder', str(slides.absolute()))}"
    sheet = table_of_folder(slides, "slide").sheet
    return write_sheet(sheet, folder / "files.csv", may_replace=True)


def _private_mask(mask: Path, names: Pseudonyms) -> Path:
    if is_under_pseudonym(mask):
        return mask
    place = private_folder() / "masks"
    return link_file(mask, f"mask-{names.tag('mask', str(mask.absolute()))}", place)
