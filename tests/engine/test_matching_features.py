"""Which feature files spare the first fill of the bank, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.encode_source import encode_source, write_source_features
from napari_dre_slcl.engine.feature_source import FeatureLoader, FeatureSource
from napari_dre_slcl.engine.matching_features import matching_features
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.jobs.messages import Log
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileSource, tile_slide


@pytest.fixture
def config(tmp_path: Path) -> DreSlclConfig:
    changed = {
        "encoder.name": "test_vit",
        "encoder.input_px": 32,
        "features.fill_from": str(tmp_path / "features"),
    }
    return with_overrides(load_preset("cpu-small"), changed)


@pytest.fixture
def prepared(
    tmp_path: Path, make_slide: Callable[..., Path], config: DreSlclConfig
) -> Iterator[PreparedCohort]:
    """Two slides with their grids, as `prepare_cohort` leaves them."""
    table = tmp_path / "cohort.csv"
    table.write_text("slide,patient_id,slide_id\na.tif,P,A\nb.tif,Q,B\n")
    for name in ("a.tif", "b.tif"):
        make_slide(tmp_path / name)
    slides = [open_slide(tmp_path / name) for name in ("a.tif", "b.tif")]
    sources = tuple(TileSource(slide, tile_slide(slide, config.tiling)) for slide in slides)
    nothing = np.zeros((2, 0))
    prepared = PreparedCohort(
        read_cohort(table),
        np.array(["train", "train"]),
        (),
        nothing.astype(np.int64),
        nothing.astype(np.float32),
        sources,
    )
    yield prepared
    prepared.close()


@pytest.fixture
def encoder(config: DreSlclConfig) -> TileEncoder:
    torch.manual_seed(0)
    return build_encoder(config)


def _matched(config: DreSlclConfig, prepared: PreparedCohort, encoder: TileEncoder):
    events: list = []
    known = matching_features(
        config, prepared, [0, 1], encoder, Reporter(events.append, lambda: False)
    )
    return known, [event.message for event in events if isinstance(event, Log)]


def test_files_that_fit_give_their_features_in_the_order_of_the_grid(
    config, prepared, encoder, tmp_path: Path
) -> None:
    folder = tmp_path / "features"
    for row, slide_id in enumerate("AB"):
        path = write_source_features(encoder, config, prepared.sources[row], slide_id, folder)
    with h5py.File(path, "r+") as file:  # the order of the file does not matter
        for name in ("features", "coords"):
            file[name][...] = file[name][()][::-1]
    known, (sentence,) = _matched(config, prepared, encoder)
    assert "takes features of 2 of 2 slides" in sentence
    for row in (0, 1):
        source = prepared.sources[row]
        tiles = np.arange(len(source.grid))
        computed, damaged = encode_source(encoder, source, 32, tiles)
        assert damaged == ""
        np.testing.assert_allclose(known(row), computed.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"encoder": "other_vit"}, "of the encoder 'other_vit', not of 'test_vit'"),
        ({"encoder_sha256": "0" * 64}, "made with other weights"),
        ({"encoder": ""}, "does not say which encoder"),
        ({"mpp": 0.25}, "states 0.25 µm per pixel, not 0.5"),
        ({"patch_size_level0": 300}, "256 px, 300 px of level 0, not of 256 and 256"),
    ],
)
def test_files_of_something_else_are_told_and_not_used(
    config, prepared, encoder, tmp_path: Path, change, sentence: str
) -> None:
    folder = tmp_path / "features"
    for row, slide_id in enumerate("AB"):
        path = write_source_features(encoder, config, prepared.sources[row], slide_id, folder)
    with h5py.File(path, "r+") as file:
        for name, value in change.items():
            owner = "features" if name.startswith("encoder") else "coords"
            file[owner].attrs[name] = value
    known, (said,) = _matched(config, prepared, encoder)
    assert "1 of 2 slides" in said
    assert "'B.h5': it" in said
    assert sentence in said
    assert known(0) is not None
    assert known(1) is None


def test_missing_broken_and_other_tiles_are_told(config, prepared, encoder, tmp_path) -> None:
    folder = tmp_path / "features"
    path = write_source_features(encoder, config, prepared.sources[0], "A", folder)
    known, (said,) = _matched(config, prepared, encoder)
    assert "'B.h5' is not there" in said
    with h5py.File(path, "r+") as file:
        file["coords"][0] += 256
    known, (said,) = _matched(config, prepared, encoder)
    assert "lacks tiles of the slide's grid" in said
    path.write_bytes(b"broken")
    known, (said,) = _matched(config, prepared, encoder)
    assert "A.h5' cannot be read" in said
    assert known(0) is known(1) is None


def test_other_weights_of_the_encoder_match_nothing(config, prepared, encoder, tmp_path) -> None:
    write_source_features(encoder, config, prepared.sources[0], "A", tmp_path / "features")
    with torch.no_grad():
        encoder.backbone.norm.bias += 1
    known, (said,) = _matched(config, prepared, encoder)
    assert "'A.h5': it was made with other weights" in said
    assert known(0) is None


def _feature_file(path: Path, n: int) -> FeatureSource:
    with h5py.File(path, "w") as file:
        file["features"] = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    return FeatureSource.open(path)


@pytest.mark.parametrize("cache_mib", [0, 1])
def test_a_feature_loader_reads_as_a_tile_loader_does(tmp_path: Path, cache_mib: int) -> None:
    sources = [_feature_file(tmp_path / f"{n}.h5", n) for n in (4, 6)]
    with FeatureLoader(sources, cache_mib) as loader:
        requests = [(1, np.array([5, 0])), (0, np.array([2])), (1, np.array([5]))]
        rows = loader.load(requests)
        assert rows[:, 0].tolist() == [15, 0, 6, 15]
        ahead = list(loader.prefetch([requests[:1], requests[1:], requests]))
        np.testing.assert_array_equal(np.concatenate(ahead[:2]), rows)
        np.testing.assert_array_equal(ahead[2], rows)
        assert loader.damaged == {}
        assert loader.sources == tuple(sources)
        with pytest.raises(SlideError, match=r"4\.h5' has 4 tiles, numbered from 0; tiles 4 to 4"):
            loader.load([(0, np.array([4]))])
    with pytest.raises(SlideError, match="is closed"):
        loader.load(requests)


@pytest.mark.parametrize("cache_mib", [0, 1])
def test_a_feature_file_that_changes_or_goes_is_named(tmp_path: Path, cache_mib: int) -> None:
    source = _feature_file(tmp_path / "a.h5", 4)
    with FeatureLoader([source], cache_mib) as loader:
        _feature_file(tmp_path / "a.h5", 5)
        with pytest.raises(SlideError, match=r"a\.h5' has changed"):
            loader.load([(0, np.array([0]))])
    (tmp_path / "a.h5").unlink()
    with FeatureLoader([source], cache_mib) as loader, pytest.raises(SlideError, match="not exist"):
        next(loader.prefetch([[(0, np.array([0]))]]))
