"""The fitted text encoder in the folder of a model: what places phrases among its reports.

Knows files and text; neither torch nor what the model does. The folder holds words of the training
reports, those of `shared_words` alone.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import write_bytes
from napari_dre_slcl.cohort.report_text import clean_report, has_words, trim_report
from napari_dre_slcl.cohort.reports import ReportEncoder
from napari_dre_slcl.errors import JobError, ModelError
from napari_dre_slcl.untrusted import inside, parse_json, read_bytes, read_npy_stream

__all__ = ["ReportModel", "load_report_model", "phrase_text", "save_report_model"]

_FOLDER = "text"
_WORDS = "words.json"
_DIRECTIONS = "directions.npy"
_FORMAT = 1
# 50,000 words in 1,024 directions take 200 MB.
_MOST_BYTES = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class ReportModel:
    """How reports, and phrases, become vectors.

    Parameters
    ----------
    encoder : ReportEncoder
        Fitted on training reports; it need not know all of their words.
    removed : tuple of str or None
        Names of tasks and classes whose sentences were left out of the reports; None where the
        diagnosis was not left out.
    """

    encoder: ReportEncoder
    removed: tuple[str, ...] | None = None

    def place(self, phrase: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return the (dim,) unit vector of a phrase, and its words that are not known.

        Raises
        ------
        JobError
            If no word of it is known; the words are named.
        """
        text = phrase_text(phrase, self.removed)
        words = self.encoder.words(text)
        unknown = tuple(word for word in words if not self.encoder.knows(word))
        vector = self.encoder.encode([text])[0]
        if not vector.any():
            shown = ", ".join(f"'{word}'" for word in unknown or words)
            raise JobError(
                f"The reports that this model was trained on do not use {shown}, or hardly ever. "
                "Try other words of the reports, in their language."
            )
        return vector, unknown


def phrase_text(phrase: str, removed: Sequence[str] | None) -> str:
    """Return a phrase made ready as the training reports were.

    Raises
    ------
    JobError
        If nothing of it can be asked for.
    """
    text = clean_report(phrase)
    if not has_words(text):
        raise JobError("There is no word to look for. Type a word or a few.")
    if removed is None:
        return text
    kept = trim_report(text, removed).text
    if not has_words(kept):
        raise JobError(
            f"'{text}' names a diagnosis, and this model was trained on reports without the "
            "sentences that do (text.remove_diagnosis). Ask for what is seen in the tissue."
        )
    return kept


def save_report_model(model: ReportModel, folder: Path) -> dict[str, str]:
    """Write the text encoder into a model folder that is being made.

    Returns
    -------
    dict of str
        SHA-256 of each file, by its name.
    """
    terms, idf, directions = model.encoder.state()
    words = {"format": _FORMAT, "terms": terms, "idf": idf.tolist(), "removed": model.removed}
    array = io.BytesIO()
    np.save(array, directions.astype(np.float32), allow_pickle=False)
    files = {
        _WORDS: json.dumps(words, ensure_ascii=False).encode(),
        _DIRECTIONS: array.getvalue(),
    }
    (folder / _FOLDER).mkdir()
    for name, content in files.items():
        write_bytes(folder / _FOLDER / name, content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def load_report_model(folder: Path, header: Mapping[str, Any]) -> ReportModel:
    """Read the text encoder of a model.

    Parameters
    ----------
    folder : Path
        The model folder.
    header : mapping
        What its ``model.json`` holds.

    Raises
    ------
    ModelError
        If it has none, or the files are damaged.
    """
    hashes = header.get("text_sha256")
    if not hashes:
        raise ModelError(
            f"The model '{folder}' has no text encoder, so that no phrase can be asked: it was "
            "saved by an older version, or its reports had no word in common. Train it again."
        )
    try:
        files = {
            name: read_bytes(inside(folder, _FOLDER, name), _MOST_BYTES)
            for name in (_WORDS, _DIRECTIONS)
        }
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != hashes[name]:
                raise ModelError(f"'{folder / _FOLDER / name}' is damaged: its hash differs.")
        words, content = parse_json(files[_WORDS]), files[_DIRECTIONS]
        directions = read_npy_stream(io.BytesIO(content), len(content))
        return _model(words, directions)
    except OSError as error:
        raise ModelError(
            f"The text encoder of '{folder}' cannot be read: {error.strerror}. Copy the whole "
            "model folder."
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"The text encoder of '{folder}' does not fit this version.") from error


def _model(words: dict[str, Any], directions: NDArray[Any]) -> ReportModel:
    terms, removed = words["terms"], words.get("removed")
    if not all(isinstance(text, str) for text in (*terms, *(removed or ()))):
        raise ValueError("a word is no text")
    encoder = ReportEncoder.from_state(terms, np.asarray(words["idf"], np.float64), directions)
    return ReportModel(encoder, None if removed is None else tuple(removed))
