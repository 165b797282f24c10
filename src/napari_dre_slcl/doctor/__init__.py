"""Looks an installation over: what is wrong with it, and how to mend that.

Its modules import the standard library only at their top, so that it works where little else does:
``python -m napari_dre_slcl.doctor`` needs not even the command line's own packages.
"""

from __future__ import annotations

from napari_dre_slcl.doctor.examine import examine
from napari_dre_slcl.doctor.finding import Finding

__all__ = ["Finding", "examine"]
