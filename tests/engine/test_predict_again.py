"""Predicting a slide again: which tiles are encoded, and that the answer is that of a full run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.engine.predict import predict, result_path, run_predict
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.jobs.messages import Log, PredictJob, Progress, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.results import SlideResult, load_result, save_result
from napari_dre_slcl.slide import Slide, open_slide
from napari_dre_slcl.tiles import MaskClass, TileSource, TissueMask, find_tissue, tile_slide

# The same tiles in batches of another size differ in their last digits.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(scope="session")
def bundle(model_dir: Path) -> Bundle:
    return load_bundle(model_dir)


@pytest.fixture
def slide_path(slide_file: Callable[..., Path], tissue_image: Callable[..., np.ndarray]) -> Path:
    # The margin of the tissue cuts tiles, so that the least share of tissue decides over them.
    return slide_file("S.tif", image=tissue_image(1536, 1792, (160, 160, 1400, 1640)))


@pytest.fixture
def slide(slide_path: Path) -> Iterator[Slide]:
    with open_slide(slide_path) as opened:
        yield opened


def _source(slide: Slide, min_tissue: float) -> TileSource:
    return TileSource(slide, tile_slide(slide, TilingConfig(min_tissue=min_tissue)))


def _predict(
    bundle: Bundle, source: TileSource, earlier: SlideResult | None = None
) -> tuple[SlideResult, int]:
    """Return the result and how many tiles were announced to be encoded."""
    announced = [0]
    result = predict_source(
        bundle, source, "S", lambda done, total: announced.append(total), earlier
    )
    return result, announced[-1]


def _assert_same_answer(one: SlideResult, other: SlideResult) -> None:
    np.testing.assert_array_equal(one.rowcol, other.rowcol)
    np.testing.assert_array_equal(one.codeword, other.codeword)
    np.testing.assert_allclose(one.features, other.features, **CLOSE)
    np.testing.assert_allclose(one.slide_vector, other.slide_vector, **CLOSE)
    np.testing.assert_allclose(one.attention, other.attention, **CLOSE)
    np.testing.assert_allclose(one.residual_norm, other.residual_norm, **CLOSE)
    for a, b in zip(one.predictions, other.predictions, strict=True):
        np.testing.assert_allclose(a.probabilities, b.probabilities, **CLOSE)


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.2), (0.2, 0.9)], ids=["more", "fewer"])
def test_only_new_tiles_are_encoded_and_the_answer_is_that_of_a_full_prediction(
    bundle: Bundle, slide: Slide, tmp_path: Path, before: float, after: float
) -> None:
    first, n_encoded = _predict(bundle, _source(slide, before))
    assert n_encoded == len(first.rowcol)
    stored = load_result(save_result(first, tmp_path / "S.dreslcl.npz"))
    source = _source(slide, after)
    full, _ = _predict(bundle, source)
    again, n_encoded = _predict(bundle, source, stored)
    known = {tuple(cell) for cell in first.rowcol.tolist()}
    new = [tuple(cell) not in known for cell in again.rowcol.tolist()]
    assert n_encoded == sum(new) < len(again.rowcol)
    assert again.provenance["encoded"] == f"{sum(new)} of {len(new)} tiles"
    _assert_same_answer(again, full)
    taken = ~np.array(new)
    place = {tuple(cell): row for row, cell in enumerate(first.rowcol.tolist())}
    rows = [place[tuple(cell)] for cell in again.rowcol[taken].tolist()]
    np.testing.assert_array_equal(again.features[taken], first.features[rows])


def test_the_same_tiles_again_encode_nothing_and_give_the_same_to_the_last_bit(
    bundle: Bundle, slide: Slide
) -> None:
    source = _source(slide, 0.5)
    first, _ = _predict(bundle, source)
    again, n_encoded = _predict(bundle, source, first)
    assert n_encoded == 0
    for name in ("features", "slide_vector", "attention", "codeword", "residual_norm"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert again.predictions == first.predictions
    assert again.features_key == first.features_key


def test_a_result_without_features_is_no_help_but_no_harm(bundle: Bundle, slide: Slide) -> None:
    source = _source(slide, 0.5)
    full, n_tiles = _predict(bundle, source)
    for old in (replace(full, features=None), replace(full, features_key="")):
        again, n_encoded = _predict(bundle, source, old)
        assert n_encoded == n_tiles
        _assert_same_answer(again, full)


def test_another_encoder_or_its_settings_take_nothing_over(bundle: Bundle, slide: Slide) -> None:
    source = _source(slide, 0.5)
    first, n_tiles = _predict(bundle, source)
    encoder = bundle.config.encoder.model_copy(update={"mean": (0.4, 0.5, 0.5)})
    others = (
        replace(bundle, weights_sha256="another"),
        replace(bundle, config=bundle.config.model_copy(update={"encoder": encoder})),
    )
    for other in others:
        assert _predict(other, source, first)[1] == n_tiles


def test_a_model_without_a_hash_takes_nothing_over(bundle: Bundle, slide: Slide) -> None:
    source = _source(slide, 0.5)
    unsaved = replace(bundle, weights_sha256="")
    first, n_tiles = _predict(unsaved, source)
    assert _predict(unsaved, source, first)[1] == n_tiles


def _job(model_dir: Path, slide_path: Path, **options: object) -> PredictJob:
    return PredictJob(
        model=model_dir, slides=(slide_path,), out=slide_path.parent / "out", device="cpu"
    ).model_copy(update=options)


def _run(job: PredictJob) -> tuple[SlideResult, int]:
    """Return the result that a job wrote and how many tiles it encoded."""
    events: list = []
    end = run_predict(job, events.append, lambda: False)
    assert isinstance(end, Result)
    (path,) = end.paths.values()
    totals = [
        event.total
        for event in events
        if isinstance(event, Progress) and event.stage == "Encoding tiles"
    ]
    return load_result(path), totals[-1] if totals else 0


def test_a_job_takes_over_what_lies_in_its_folder(model_dir: Path, slide_path: Path) -> None:
    job = _job(model_dir, slide_path)
    first, n_tiles = _run(job)
    assert n_tiles == len(first.rowcol) > 0
    again, n_encoded = _run(job)
    assert n_encoded == 0
    assert again.predictions == first.predictions


def test_a_changed_slide_or_pixel_size_is_encoded_anew(model_dir: Path, slide_path: Path) -> None:
    job = _job(model_dir, slide_path)
    _, n_tiles = _run(job)
    os.utime(slide_path, ns=(0, 1))
    assert _run(job)[1] == n_tiles
    assert _run(job)[1] == 0
    smaller, n_encoded = _run(job.model_copy(update={"mpp": 0.45}))
    assert n_encoded == len(smaller.rowcol)
    assert smaller.tile_size_px != 256


def test_another_slide_of_the_same_name_is_encoded_in_full(
    model_dir: Path, slide_path: Path, make_slide: Callable[..., Path]
) -> None:
    job = _job(model_dir, slide_path)
    _run(job)
    (slide_path.parent / "other").mkdir()
    other = make_slide(slide_path.parent / "other" / slide_path.name)
    result, n_encoded = _run(job.model_copy(update={"slides": (other,)}))
    assert n_encoded == len(result.rowcol)


def test_a_damaged_earlier_result_is_written_anew(model_dir: Path, slide_path: Path) -> None:
    job = _job(model_dir, slide_path)
    _, n_tiles = _run(job)
    (path,) = job.out.iterdir()
    path.write_bytes(path.read_bytes()[:2000])
    assert _run(job)[1] == n_tiles
    assert _run(job)[1] == 0


def test_training_leaves_the_features_of_its_tiles_out(model_dir: Path) -> None:
    stored = sorted((model_dir / "results").iterdir())
    assert stored
    assert all(load_result(path).features is None for path in stored)


def test_a_slide_that_was_moved_with_its_times_is_still_known(
    model_dir: Path, slide_path: Path
) -> None:
    job = _job(model_dir, slide_path)
    _run(job)
    (slide_path.parent / "new").mkdir()
    moved = shutil.move(slide_path, slide_path.parent / "new" / slide_path.name)
    result, n_encoded = _run(job.model_copy(update={"slides": (Path(moved),)}))
    assert n_encoded == 0
    assert result.slide_path == str(moved)


def _mask(slide_path: Path, *changes: tuple[slice, slice, MaskClass]) -> TissueMask:
    """Return the slide's own mask with boxes of level-0 pixels set to a class."""
    with open_slide(slide_path) as slide:
        found = find_tissue(slide)
    labels = found.labels.copy()
    for rows, cols, value in changes:
        box = tuple(
            slice(round(side.start / found.downsample), round(side.stop / found.downsample))
            for side in (rows, cols)
        )
        labels[box] = value
    return replace(found, labels=labels)


def test_a_changed_mask_encodes_only_the_changed_tiles(model_dir: Path, slide_path: Path) -> None:
    job = _job(model_dir, slide_path)
    first, _ = _run(job)
    # Tissue is added in the grid's first row, one tile in the middle is taken away.
    mask = _mask(
        slide_path,
        (slice(0, 256), slice(256, 768), MaskClass.TISSUE),
        (slice(512, 768), slice(512, 768), MaskClass.GLASS),
    ).save(slide_path.parent / "S.tissue.png")
    events: list = []
    end = run_predict(job.model_copy(update={"mask": mask}), events.append, lambda: False)
    assert isinstance(end, Result)
    again = load_result(end.paths["S"])
    before, after = ({tuple(cell) for cell in r.rowcol.tolist()} for r in (first, again))
    assert after - before == {(0, 1), (0, 2)}
    assert before - after == {(2, 2)}
    said = [event.message for event in events if isinstance(event, Log)]
    assert f"S.tif: encoded 2 of {len(after)} tiles." in said
    assert said[0].startswith(f"S.tif: {len(after)} tiles; left out: ")
    assert "background" in said[0]
    assert again.provenance["tissue mask"].startswith("S.tissue.png, sha256 ")
    assert first.provenance["tissue mask"] == "automatic"
    elsewhere = job.model_copy(update={"mask": mask, "out": job.out.with_name("elsewhere")})
    full, n_encoded = _run(elsewhere)
    assert n_encoded == len(after)
    _assert_same_answer(again, full)


def test_least_tissue_of_a_job_replaces_that_of_the_training(
    model_dir: Path, slide_path: Path
) -> None:
    job = _job(model_dir, slide_path)
    first, _ = _run(job)
    more, n_encoded = _run(job.model_copy(update={"min_tissue": 0.05}))
    assert 0 < n_encoded == len(more.rowcol) - len(first.rowcol)
    assert more.provenance["least tissue"] == "5%"


def test_python_takes_mask_and_earlier_result_too(model_dir: Path, slide_path: Path) -> None:
    mask = _mask(slide_path, (slice(512, 768), slice(512, 768), MaskClass.GLASS))
    with open_slide(slide_path) as slide:
        first = predict(model_dir, slide, device="cpu")
        again = predict(model_dir, slide, device="cpu", mask=mask, earlier=first)
    assert again.provenance["encoded"] == f"0 of {len(first.rowcol) - 1} tiles"


def test_a_mask_of_another_slide_is_refused_and_the_result_left_alone(
    model_dir: Path, slide_path: Path, make_slide: Callable[..., Path]
) -> None:
    job = _job(model_dir, slide_path)
    _run(job)
    (stored,) = job.out.iterdir()
    content = stored.read_bytes()
    other = _mask(make_slide(slide_path.parent / "other.tif")).save(job.out / "o.tissue.png")
    with pytest.raises(SlideError, match=r"mask is of a slide of 1024x1536 px, but 'S\.tif' is"):
        run_predict(job.model_copy(update={"mask": other}), lambda event: None, lambda: False)
    assert stored.read_bytes() == content


def test_a_mask_without_tissue_says_so(model_dir: Path, slide_path: Path) -> None:
    everywhere = (slice(0, 1536), slice(0, 1792), MaskClass.GLASS)
    empty = _mask(slide_path, everywhere).save(slide_path.parent / "empty.tissue.png")
    job = _job(model_dir, slide_path, mask=empty)
    with pytest.raises(SlideError, match=r"'S\.tif' has no tissue tile: of 42 tiles .*background"):
        run_predict(job, lambda event: None, lambda: False)
    assert not job.out.exists()


def test_one_mask_for_two_slides_is_refused(model_dir: Path, slide_path: Path) -> None:
    job = _job(model_dir, slide_path, slides=(slide_path, slide_path), mask=Path("m.tissue.png"))
    with pytest.raises(
        JobError, match=r"'m\.tissue\.png' is of one slide, but 2 slides were given"
    ):
        run_predict(job, lambda event: None, lambda: False)


def test_slides_of_nearly_the_same_name_have_results_of_their_own(tmp_path: Path) -> None:
    names = [result_path(tmp_path, slide).name for slide in ("a_b", "a b", "a:b", "a_b")]
    assert names[0] == names[3] == "a_b.dreslcl.npz"
    assert len(set(names)) == 3
    assert all(name.isascii() and not {*" :/"} & {*name} for name in names)
