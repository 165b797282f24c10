"""Sample data: one generated lung slide, as in the built-in cohort."""

from __future__ import annotations

import tempfile
from pathlib import Path

from napari_dre_slcl.cohort.synthetic_plan import plan_cohort
from napari_dre_slcl.cohort.synthetic_slide import paint_slide, write_pyramid
from napari_dre_slcl.gui.viewed_slide import viewed_slide
from napari_dre_slcl.layers import LayerData
from napari_dre_slcl.slide import open_slide

__all__ = ["generated_slide", "sample_slide_path"]

_N_SLIDES = 24
_SEED = 0
_SIDE_PX = 4096


def generated_slide() -> list[LayerData]:
    """Return a generated lung adenocarcinoma slide, 4096x4096 px at 0.5 µm."""
    folder = Path(tempfile.gettempdir()) / "napari-dre-slcl-sample"
    return [viewed_slide(open_slide(sample_slide_path(folder)))]


def sample_slide_path(folder: Path, side_px: int = _SIDE_PX) -> Path:
    """Generate the sample slide in a folder, unless it is there, and return its path.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    side_px : int
        Edge of the slide in level-0 pixels.
    """
    path = folder / f"generated-lung-slide-{side_px}.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        plans = plan_cohort(_N_SLIDES, _SEED)
        index = next(i for i, plan in enumerate(plans) if plan.subtype == "LUAD")
        picture, _ = paint_slide(plans[index], _SEED, index, side_px)
        write_pyramid(path, picture)
    return path
