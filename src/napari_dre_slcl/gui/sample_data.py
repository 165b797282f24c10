"""Sample data: one generated lung slide, alone or with what a small model says of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
from platformdirs import user_cache_path
from qtpy.QtCore import QTimer

from napari_dre_slcl.atomic_file import atomic_folder
from napari_dre_slcl.cohort.synthetic_plan import plan_cohort
from napari_dre_slcl.cohort.synthetic_slide import paint_slide, write_pyramid
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.gui.open_dock import open_dock
from napari_dre_slcl.gui.viewed_slide import viewed_slide
from napari_dre_slcl.gui.wait_for import wait_for
from napari_dre_slcl.insight.codeword_names import read_header
from napari_dre_slcl.layers import LayerData, result_layers
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult, load_result, save_result
from napari_dre_slcl.slide import open_slide

__all__ = [
    "SAMPLE_MODEL",
    "generated_slide",
    "sample_result",
    "sample_slide_path",
    "slide_with_model",
]

SAMPLE_MODEL = Path(__file__).with_name("sample")
"""Folder of a small model and its result, which scripts/make_sample_model.py makes."""
_RESULT = "sample.dreslcl.npz"
_N_SLIDES = 24
_SEED = 0
_SIDE_PX = 4096


def generated_slide() -> list[LayerData]:
    """Return a generated lung adenocarcinoma slide, 4096x4096 px at 0.5 µm."""
    return [viewed_slide(open_slide(wait_for(sample_slide_path, _folder())))]


def slide_with_model() -> list[LayerData]:
    """Return the generated slide with tile clusters and attention, and show what they rest on.

    In a viewer the dock opens at the Explore tab with the model that has made the result; both
    come with this package, so that nothing is downloaded or computed.
    """
    path = wait_for(sample_slide_path, _folder())
    result = sample_result(path)
    slide = viewed_slide(open_slide(path))
    viewer = napari.current_viewer()
    if viewer is None:
        return [slide, *result_layers(result)]
    # Once napari has added the slide, the dock shows its result.
    QTimer.singleShot(0, lambda: _explore(viewer, result))
    return [slide]


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
        plans = plan_cohort(_N_SLIDES, _SEED)
        index = next(i for i, plan in enumerate(plans) if plan.subtype == "LUAD")
        picture, _ = paint_slide(plans[index], _SEED, index, side_px)
        write_pyramid(path, picture)
    return path


def sample_result(slide: Path) -> SlideResult:
    """Return what the sample model says of the sample slide.

    Model and result are copied beside the slide, where names of codewords and phrases can be kept.

    Parameters
    ----------
    slide : Path
        As `sample_slide_path` makes it.
    """
    result = load_result(SAMPLE_MODEL / _RESULT)
    model = _copied_model(slide.parent / "model", result.provenance["model_sha256"])
    facts = result.provenance | {"model": str(model)}
    result = replace(result, slide_path=str(slide), slide_id=slide.stem, provenance=facts)
    save_result(result, _result_path(slide))
    return result


def _copied_model(folder: Path, weights_sha256: str) -> Path:
    """Return the sample model in a folder; one of an earlier version there is replaced."""
    try:
        if read_header(folder).get("weights_sha256") == weights_sha256:
            return folder
    except ModelError:
        pass  # none is there, or half of one
    with atomic_folder(folder, replaces=True) as aside:
        shutil.copytree(SAMPLE_MODEL / "model", aside, dirs_exist_ok=True)
    return folder


def _result_path(slide: Path) -> Path:
    return slide.parent / "results" / f"{slide.stem}{RESULT_SUFFIX}"


def _folder() -> Path:
    return user_cache_path("napari-dre-slcl", appauthor=False) / "sample"


def _explore(viewer: Any, result: SlideResult) -> None:
    dock = open_dock(viewer, "Explore")
    dock.result_panel.model_field.setValue(result.provenance["model"])
    dock.overlay.load_result(_result_path(Path(result.slide_path)))
