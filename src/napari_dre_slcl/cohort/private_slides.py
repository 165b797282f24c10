"""Links to slides and feature files under pseudonyms, so that nothing that is made names the files.

All that reads a slide is given its link. What a slide's files call each other is kept where a
format needs it; such names stay in the user's own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.cohort.from_folder import SLIDE_SUFFIXES
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.slide.file_to_open import dicom_series
from napari_dre_slcl.slide.fingerprint import slide_files
from napari_dre_slcl.slide.mpp_table import forget_mpp, recall_mpp, remember_mpp
from napari_dre_slcl.slide.urls import is_remote

__all__ = ["link_file", "link_slide"]

_DICOM = ".dcm"
_INDEX = (".vms", ".vmu")
_KNOWN = frozenset({*SLIDE_SUFFIXES, *FEATURE_SUFFIXES, _DICOM, ".ndpi", ".czi", ".png", ".npy"})


def link_slide(path: Path, pseudonym: str, folder: Path) -> Path:
    """Return a path of a slide that holds its pseudonym in the place of its name.

    Parameters
    ----------
    path : Path
        Slide file, DICOM folder or feature file; it need not exist.
    pseudonym : str
        What it is to be called.
    folder : Path
        Where its link is made, or renewed.

    Raises
    ------
    JobError
        If it is on another machine, or the system makes no links.
    """
    if is_remote(path):
        raise JobError(
            "Slides on a server cannot be pseudonymised: their addresses would be told. Copy them "
            "to a disk of this machine, or leave --pseudonymize out."
        )
    if path.is_dir():
        files = [file for file in _files(path) if _is_dicom(file)]
        _link_numbered(files, folder / pseudonym)
        link = folder / pseudonym
    elif path.suffix.lower() in (_DICOM, *_INDEX) and path.is_file():
        link = _link_with_others(path, pseudonym, folder / pseudonym)
    else:
        link = link_file(path, pseudonym, folder)
        if path.suffix.lower() == ".mrxs":
            _link(path.with_suffix(""), folder / pseudonym)
    _take_answer_along(path, link)
    return link


def link_file(path: Path, pseudonym: str, folder: Path) -> Path:
    """Return a link to one file; what ends its name is kept where it is a known ending."""
    suffix = path.suffix if path.suffix.lower() in _KNOWN else ""
    link = folder / f"{pseudonym}{suffix}"
    _link(path, link)
    return link


def _link_with_others(path: Path, pseudonym: str, folder: Path) -> Path:
    """Link a file and the others that its slide is made of."""
    link = link_file(path, pseudonym, folder)
    try:
        others = [file for file in slide_files(path) if file != path]
    except OSError:
        return link  # whoever opens it says so
    if path.suffix.lower() == _DICOM:
        _link_numbered(others, folder)
    else:
        for file in others:  # the index names them
            _link(file, folder / file.name)
    return link


def _link_numbered(files: Iterable[Path], folder: Path) -> None:
    for number, file in enumerate(files, start=1):
        _link(file, folder / f"{number:06}{_DICOM}")


def _link(target: Path, link: Path) -> None:
    """Make a link, or turn an older one; several processes may do so at once."""
    wanted = os.path.abspath(target)
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            if os.readlink(link) == wanted:
                return
            link.unlink(missing_ok=True)
        with suppress(FileExistsError):  # another process has made the same one
            os.symlink(wanted, link, target_is_directory=target.is_dir())
    except OSError as error:
        raise JobError(
            f"Links for pseudonyms cannot be made in '{link.parent}': {error.strerror}. On Windows "
            "they need developer mode; elsewhere name another folder with the variable "
            "DRE_SLCL_CONFIG_DIR."
        ) from error


def _take_answer_along(path: Path, link: Path) -> None:
    """Store the pixel size that a user gave for a slide for its link, too."""
    if not path.exists():
        return
    with suppress(SlideError):  # the slide then has none, which is told when it is opened
        known = recall_mpp(path).mpp
        if known is not None:
            remember_mpp(link, known)
        elif recall_mpp(link).mpp is not None:
            forget_mpp(link)


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(file for file in folder.iterdir() if file.is_file())
    return []


def _is_dicom(file: Path) -> bool:
    with suppress(OSError):
        return dicom_series(file) is not None
    return False
