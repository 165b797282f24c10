"""Looks at everything, side by side, since most of the time goes into starting processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from napari_dre_slcl.doctor.computing import check_computing
from napari_dre_slcl.doctor.finding import Finding
from napari_dre_slcl.doctor.folders import check_folders
from napari_dre_slcl.doctor.machine import check_machine
from napari_dre_slcl.doctor.packages import check_packages, check_python
from napari_dre_slcl.doctor.slides import check_slides
from napari_dre_slcl.doctor.window import check_plugin, check_window

__all__ = ["examine"]


def examine(work: Path) -> list[Finding]:
    """Look an installation over.

    Parameters
    ----------
    work : Path
        Folder where runs and results are to go; nothing is left in it.

    Returns
    -------
    list of Finding
        Always in the same order.
    """
    checks = (
        check_python,
        check_packages,
        check_window,
        check_plugin,
        check_slides,
        check_computing,
        check_machine,
        partial(check_folders, work),
    )
    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: check(), checks) for finding in found]
