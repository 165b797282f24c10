"""Real slides in the window: a prediction's grid lies exactly on the slide's tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.jobs.messages import PredictJob, Result
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.results import load_result

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(
    ("name", "mpp", "tile_size_px"),
    [("CMU-1-Small-Region.svs", None, 257), ("lung-scc-HE3.tif", 0.25, 512)],
)
def test_grid_of_a_real_slide_lies_on_its_tiles(
    dock, viewer, real_data: Path, trained, tmp_path: Path, name, mpp, tile_size_px
) -> None:
    path = real_data / "slides" / name
    job = PredictJob(model=trained.run_dir, slides=(path,), out=tmp_path, mpp=mpp)
    end = run_job(job, lambda event: None)
    assert isinstance(end, Result), end
    result = load_result(end.paths[path.stem])
    assert result.tile_size_px == tile_size_px

    dock.overlay.open_slide(path)
    dock.overlay.show_result(result)
    slide, clusters, attention, _ = viewer.layers
    pitch_um = tile_size_px * result.mpp
    corner = slide.extent.world[0] - np.asarray(slide.scale) / 2
    for overlay in (clusters, attention):
        np.testing.assert_allclose(overlay.extent.world[0] - pitch_um / 2, corner, atol=1e-6)
        end_um = overlay.extent.world[1] + pitch_um / 2
        np.testing.assert_allclose(end_um - corner, np.array(result.grid_shape) * pitch_um)
        beyond_um = end_um - (slide.extent.world[1] + result.mpp / 2)
        # The grid covers the slide; cells that reach beyond its edge hold no tile.
        assert ((beyond_um >= -1e-6) & (beyond_um < pitch_um)).all()
    inside_px = np.array([1, tile_size_px // 2, tile_size_px - 2])
    for corner_yx, codeword in zip(result.tile_yx, result.codeword, strict=True):
        for pixel in corner_yx + inside_px[:, None]:
            level_0 = np.asarray(slide.world_to_data(pixel * result.mpp))
            np.testing.assert_allclose(level_0, pixel, atol=1e-6)
            assert clusters.get_value(pixel * result.mpp, world=True) == codeword + 1


@pytest.mark.parametrize(
    ("name", "height_width"),
    [
        ("dicom_cmu-1-small-region", (2967, 2220)),
        ("test3-DAPI-2-387.ndpi", (4864, 3968)),
        ("lung-scc-HE1.tif", (31017, 29912)),
    ],
)
def test_real_slide_of_another_format_opens_in_the_window(
    dock, viewer, real_data: Path, name, height_width
) -> None:
    [layer] = viewer.open(str(real_data / "slides" / name), plugin="napari-dre-slcl")
    assert layer.data[0].shape == (*height_width, 3)
    assert max(layer.data[-1].shape) <= 2048
    assert dock.slide_panel.facts()["File"] == name
