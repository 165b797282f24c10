"""What napari's reader takes, leaves to others, and says of broken files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Layer

from napari_dre_slcl.errors import ResultError, SlideError
from napari_dre_slcl.gui.reader import get_reader
from napari_dre_slcl.gui.sample_data import sample_slide_path
from napari_dre_slcl.layers import METADATA_KEY
from napari_dre_slcl.results import load_result, save_result


def test_slide_opens_through_napari_at_its_scale(viewer, slide_path) -> None:
    [layer] = viewer.open(str(slide_path), plugin="napari-dre-slcl")
    assert layer.metadata[METADATA_KEY]["path"] == str(slide_path)
    np.testing.assert_allclose(layer.scale, 0.5, rtol=1e-3)
    assert layer.data[0].shape == (1024, 1024, 3)


def test_result_file_opens_as_clusters_and_attention(trained) -> None:
    path = str(trained.result_path)
    layers = [Layer.create(*data) for data in get_reader(path)(path)]
    assert [layer.metadata[METADATA_KEY]["kind"] for layer in layers] == ["clusters", "attention"]


def test_result_without_a_map_is_refused_with_the_way_to_see_it(trained, tmp_path) -> None:
    result = load_result(trained.result_path, with_features=False)
    one_each = {"codeword": np.int64, "attention": np.float32, "residual_norm": np.float32}
    empty = {name: np.empty(0, kind) for name, kind in one_each.items()}
    nowhere = {"rowcol": np.empty((0, 2), np.int64), "grid_shape": (0, 0), "evidence": None}
    bare = replace(result, evidence_of=(), **nowhere, **empty)
    path = str(save_result(bare, tmp_path / "bare.dreslcl.npz"))
    with pytest.raises(ResultError, match=r"bare.*has no map\..*Open result"):
        get_reader(path)(path)


def test_ordinary_picture_is_left_to_other_readers(tmp_path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((3, 32, 32), np.float32), photometric="minisblack")
    assert get_reader(str(path)) is None


@pytest.mark.parametrize("name", ["missing.tif", "folder", "notes.txt"])
def test_what_is_no_slide_is_left_to_other_readers(tmp_path, name) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no slide")
    assert get_reader(str(tmp_path / name)) is None
    assert get_reader([]) is None


def test_text_file_named_svs_is_refused_with_a_sentence_that_names_it(tmp_path) -> None:
    path = tmp_path / "letter.svs"
    path.write_text("Dear Sir or Madam")
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(SlideError, match=r"letter\.svs"):
        reader(str(path))


@pytest.mark.parametrize("name", ["A.SVS", "b.tif", "c.svs"])
def test_napari_finds_the_reader_by_the_name_alone(viewer, slide_path, tmp_path, name) -> None:
    path = tmp_path / name
    path.symlink_to(slide_path)
    [layer] = viewer.open(str(path), plugin="napari-dre-slcl")
    assert layer.name == path.stem


def test_several_slides_become_one_layer_each(cohort) -> None:
    paths = [str(path) for path in sorted((cohort.parent / "slides").glob("*.tif"))[:2]]
    assert len(get_reader(paths)(paths)) == 2


def test_sample_slide_is_made_once(tmp_path) -> None:
    path = sample_slide_path(tmp_path, side_px=1024)
    made = path.stat().st_mtime_ns
    assert sample_slide_path(tmp_path, side_px=1024) == path
    assert path.stat().st_mtime_ns == made
    [layer] = [Layer.create(*data) for data in get_reader(str(path))(str(path))]
    assert layer.data[0].shape == (1024, 1024, 3)
