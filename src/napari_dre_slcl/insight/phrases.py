"""Phrases that are asked again and again, kept beside the model that they were asked of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.untrusted import read_json

__all__ = ["LONGEST_PHRASE", "clean_phrase", "read_phrases", "write_phrases"]

LONGEST_PHRASE = 200
_MOST = 100
_FILE = "phrases.json"


def clean_phrase(text: str) -> str:
    """Return a phrase in one line, without control characters, of at most 200 signs."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(plain.split())[:LONGEST_PHRASE]


def read_phrases(model: Path) -> tuple[str, ...]:
    """Return the phrases kept with a model; none where the file is missing or no list of texts.

    Parameters
    ----------
    model : Path
        Model folder, or a run folder that holds one.
    """
    try:
        stored = read_json(_path(model))
        phrases = stored["phrases"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    if not isinstance(phrases, list):
        return ()
    kept = (clean_phrase(one) for one in phrases if isinstance(one, str))
    return tuple(dict.fromkeys(one for one in kept if one))[:_MOST]


def write_phrases(model: Path, phrases: Sequence[str]) -> None:
    """Keep phrases with a model, in the place of those that are there.

    Raises
    ------
    ModelError
        If the folder cannot be written.
    """
    path = _path(model)
    try:
        write_json(path, {"phrases": list(dict.fromkeys(phrases))[:_MOST]})
    except OSError as error:
        raise ModelError(
            f"Phrases cannot be kept in '{path.parent}': {error.strerror}. They stay until this "
            "window is closed."
        ) from error


def _path(model: Path) -> Path:
    inner = model / "model"
    return (inner if inner.is_dir() else model) / _FILE
