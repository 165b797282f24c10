"""A result under pseudonyms, whoever predicted it under which name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_dre_slcl.cohort.private_names import KnownName, remember_names
from napari_dre_slcl.cohort.private_slides import link_slide
from napari_dre_slcl.cohort.pseudonyms import Pseudonyms, is_under_pseudonym, private_folder
from napari_dre_slcl.results import SlideResult

__all__ = ["private_result"]

_NAMES_FILES = ("features", "feature file", "tissue mask", "damaged")
"""Facts of a result that name files, or quote what was said of one."""


def private_result(result: SlideResult, names: Pseudonyms) -> SlideResult:
    """Return a result that names its slide by a pseudonym, and its file by a link.

    Parameters
    ----------
    result : SlideResult
        As it was read; under pseudonyms already it stays as it is.
    names : Pseudonyms
        Under the user's key.

    Raises
    ------
    JobError
        If the slide is on a server, or the user's folder cannot be written.
    """
    if is_under_pseudonym(result.slide_path) and names.slide(result.slide_id) == result.slide_id:
        return result
    pseudonym = names.slide(result.slide_id)
    path = Path(result.slide_path)
    place = private_folder() / f"files-{names.tag('files', str(path.parent.absolute()))}"
    link = path if is_under_pseudonym(path) else link_slide(path, pseudonym, place)
    remember_names([KnownName(pseudonym, result.slide_id, result.slide_path)])
    facts = {name: text for name, text in result.provenance.items() if name not in _NAMES_FILES}
    if "features" in result.provenance:
        facts["features"] = link.name
    return replace(result, slide_id=pseudonym, slide_path=str(link), provenance=facts)
