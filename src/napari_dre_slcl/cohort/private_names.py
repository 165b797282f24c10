"""Who is behind a pseudonym: one table in the user's own folder, which never leaves it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import filelock

from napari_dre_slcl.atomic_file import write_private
from napari_dre_slcl.cohort.pseudonyms import private_folder
from napari_dre_slcl.errors import JobError

__all__ = ["KnownName", "known_names", "names_table", "remember_names"]

_HEADER = ("pseudonym", "name", "file")
_LOCK_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, order=True)
class KnownName:
    """What stands behind a pseudonym.

    Parameters
    ----------
    pseudonym : str
        Of a slide or a patient.
    name : str
        Its slide_id or patient_id.
    file : str
        The slide's file; empty for a patient.
    """

    pseudonym: str
    name: str
    file: str = ""


def names_table() -> Path:
    """Return the table; it need not exist."""
    return private_folder() / "names.csv"


def known_names() -> list[KnownName]:
    """Return all that were ever given pseudonyms on this machine, in order.

    Raises
    ------
    JobError
        If the table cannot be read.
    """
    path = names_table()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            f"The table of pseudonyms '{path}' cannot be read: {error}. Bring a copy of it back, "
            "or delete it; it is then made anew from the next cohort on."
        ) from error
    rows = csv.reader(io.StringIO(text))
    return sorted(KnownName(*row) for row in rows if len(row) == 3 and tuple(row) != _HEADER)


def remember_names(names: Iterable[KnownName]) -> None:
    """Add names to the table.

    Raises
    ------
    JobError
        If it cannot be read or written.
    """
    path = names_table()
    try:
        with filelock.FileLock(path.with_suffix(".lock"), timeout=_LOCK_WAIT_S):
            before = set(known_names())
            after = before | set(names)
            if after == before:
                return
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(_HEADER)
            writer.writerows(astuple(name) for name in sorted(after))
            write_private(path, text.getvalue())
    except filelock.Timeout as error:
        raise JobError(
            f"Another process holds the table of pseudonyms '{path}'. Wait for it, and start again."
        ) from error
    except OSError as error:
        raise JobError(
            f"The table of pseudonyms '{path}' cannot be written: {error.strerror}. Make room, or "
            "name another folder with the variable DRE_SLCL_CONFIG_DIR."
        ) from error
