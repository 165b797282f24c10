"""What a question is about: the result file of the slide that is meant, and its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.errors import ModelError, ResultError
from napari_dre_slcl.gui.session import Session
from napari_dre_slcl.insight.codeword_names import read_header
from napari_dre_slcl.results import SlideResult

__all__ = ["Subject", "subject_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is asked about.

    Parameters
    ----------
    result : SlideResult
        As it is shown.
    file : Path
        Where it is kept, with all that is too large to be shown.
    model : Path
        Folder of the model that made it.
    """

    result: SlideResult
    file: Path
    model: Path


def subject_of(session: Session) -> Subject:
    """Return what a question would be about now.

    Raises
    ------
    ResultError
        If no result is shown, or not from a file.
    ModelError
        If the model of the result is not known here.
    """
    result, file = session.result, session.overlay.result_file(session.overlay.path)
    if result is None:
        raise ResultError("There is no result of this slide yet. Press 'Predict this slide' above.")
    if file is None or not file.is_file():
        raise ResultError(
            "The file of this result is not at hand. Open it with 'Open result…', or predict the "
            "slide again."
        )
    return Subject(result, file, _model_of(result, session.model))


def _model_of(result: SlideResult, chosen: Path | None) -> Path:
    """Return the folder of the very model that made a result."""
    stated = result.provenance.get("model", "")
    wanted = result.provenance.get("model_sha256", "")
    for folder in (chosen, Path(stated) if stated else None):
        if folder is not None and wanted and _sha256(folder) == wanted:
            return folder
    if not wanted:
        raise ModelError(
            "This result is a view of a training under way, which has no model yet. Predict the "
            "slide once the training has ended."
        )
    raise ModelError(
        "The model that made this result is not at hand. Choose its folder at the top of this tab, "
        "or predict the slide with the model that is chosen."
    )


def _sha256(folder: Path) -> str:
    try:
        return str(read_header(folder).get("weights_sha256", ""))
    except ModelError:
        return ""
