"""The names that a user has given to the codewords of a model, kept in its ``model.json``.

Knows that file alone; neither torch nor weights are read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.untrusted import read_json

__all__ = [
    "MOST_SIGNS",
    "checked_name",
    "default_name",
    "model_folder",
    "read_header",
    "read_names",
    "write_names",
]

MOST_SIGNS = 60
"""A longer name would fit into no legend."""
_KEY = "codewords"


def default_name(codeword: int) -> str:
    """Return what codeword number ``codeword`` (from 0) is called until it is given a name."""
    return f"Codeword {codeword + 1}"


def model_folder(folder: Path) -> Path:
    """Return the model folder itself where a run folder is given that holds one as ``model``."""
    return folder / "model" if (folder / "model" / "model.json").is_file() else folder


def read_names(folder: Path) -> tuple[str, ...]:
    """Read the name of each codeword of a model.

    Parameters
    ----------
    folder : Path
        Model folder, or a run folder that holds one.

    Returns
    -------
    tuple of str
        (K,); ``Codeword 1`` and so on where none was given, nothing for a method without codewords.

    Raises
    ------
    ModelError
        If there is no model, or its ``model.json`` is damaged.
    """
    header = read_header(folder)
    stored = header.get(_KEY, _names_of_before(header))
    if not isinstance(stored, list) or not all(isinstance(name, str) for name in stored):
        raise ModelError(f"'{model_folder(folder) / 'model.json'}' is damaged: {_KEY} is no list.")
    return tuple(_shown(number, name) for number, name in enumerate(stored))


def write_names(folder: Path, names: Mapping[int, str] | Sequence[str]) -> tuple[str, ...]:
    """Give codewords of a model a name; the weights and all else of the model stay as they are.

    Parameters
    ----------
    folder : Path
        Model folder, or a run folder that holds one.
    names : mapping of int to str, or sequence of str
        Name by number of the codeword (from 0), or one per codeword. An empty one takes the name
        away again.

    Returns
    -------
    tuple of str
        (K,) all names as they are now.

    Raises
    ------
    ModelError
        If there is no such codeword, a name is too long or has signs that do not print, or the
        folder cannot be written.
    """
    header = read_header(folder)
    now = list(read_names(folder))
    given = names if isinstance(names, Mapping) else dict(enumerate(names))
    for number, name in given.items():
        if not 0 <= number < len(now):
            raise ModelError(
                f"This model has {len(now)} codewords, numbered from 1; there is no "
                f"codeword {number + 1} to name."
            )
        now[number] = checked_name(name) or default_name(number)
    path = model_folder(folder) / "model.json"
    try:
        write_json(path, header | {_KEY: now})
    except OSError as error:
        raise ModelError(
            f"The names of codewords cannot be kept in '{path}': {error.strerror}. "
            "Copy the model to a folder that you may write to."
        ) from error
    return tuple(now)


def checked_name(name: str) -> str:
    """Return a name without spaces around it.

    Raises
    ------
    ModelError
        If it is too long, or has signs that do not print.
    """
    name = name.strip()
    if len(name) > MOST_SIGNS:
        raise ModelError(
            f"The name '{name[:20]}…' has {len(name)} signs; at most {MOST_SIGNS} fit a legend."
        )
    # Cc and Cf: line ends, bells, and signs that turn the direction of the writing around them.
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in name):
        raise ModelError("A name may have letters, digits, spaces and signs, but no line ends.")
    return name


def read_header(folder: Path) -> dict[str, Any]:
    """Return what ``model.json`` of a model, or of a run that holds one, says.

    Raises
    ------
    ModelError
        If it is missing or damaged.
    """
    path = model_folder(folder) / "model.json"
    try:
        header = read_json(path)
    except OSError as error:
        raise ModelError(
            f"'{folder}' is no model folder: 'model.json' cannot be read ({error.strerror}). Give "
            "the 'model' folder of a finished run."
        ) from error
    except ValueError as error:
        raise ModelError(f"'{path}' is damaged: {error}.") from error
    if not isinstance(header, dict):
        raise ModelError(f"'{path}' is damaged: it holds no object.")
    return header


def _names_of_before(header: Mapping[str, Any]) -> list[str]:
    """Return the names in a model of format 1, which says only how many codewords there are."""
    config = header.get("config")
    if not isinstance(config, dict) or config.get("method", "dre-slcl") != "dre-slcl":
        return []
    codebook = config.get("codebook")
    n_codewords = codebook.get("codewords") if isinstance(codebook, dict) else None
    return [default_name(k) for k in range(n_codewords)] if isinstance(n_codewords, int) else []


def _shown(number: int, stored: str) -> str:
    """Return a stored name; training writes 'codeword 1' for one that nobody has named."""
    return default_name(number) if stored == f"codeword {number + 1}" else stored
