"""Tile features of many slides: one file each, made once, the same whole or in parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort.feature_store import FeatureOrigin, read_features
from napari_dre_slcl.cohort.left_out import LEFT_OUT
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.embed_cohort import run_embed
from napari_dre_slcl.engine.embed_tiles import EmbedWork
from napari_dre_slcl.engine.encoder_snapshot import save_snapshot
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_work import SlideItem, do_part, do_slide, join_parts
from napari_dre_slcl.errors import DreSlclError, JobError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, EmbedJob, Event, Progress, Result
from napari_dre_slcl.model.tile_encoder import TileEncoder

TINY = {"encoder.name": "test_resnet", "encoder.input_px": 32}
SMALL_TILES = TINY | {"tiling.tile_px": 32, "tiling.leave_out_blur": False}


@pytest.fixture(scope="module")
def slides(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    tissue_image: Callable[..., np.ndarray],
) -> Path:
    """Return a folder of two slides and of one that is none."""
    folder = tmp_path_factory.mktemp("slides")
    image = tissue_image(768, 1024, (0, 0, 512, 768))
    for name in ("a", "b"):
        make_slide(folder / f"{name}.tif", image=image)
    (folder / "broken.tif").write_bytes(b"no slide at all")
    return folder


def embed(job: EmbedJob, should_stop: Callable[[], bool] = lambda: False) -> Result | Cancelled:
    return run_embed(job, lambda event: None, should_stop)


def test_each_slide_gets_a_file_and_the_broken_one_a_reason(slides: Path, tmp_path: Path) -> None:
    result = embed(EmbedJob(out=tmp_path, slides=slides, overrides=TINY))
    assert isinstance(result, Result)
    assert list(result.paths) == ["a", "b"]
    assert list(result.skipped) == ["broken"]
    assert "broken.tif" in (tmp_path / LEFT_OUT).read_text()
    stored = read_features(result.paths["a"])
    assert stored.features.shape[0] == 6
    assert stored.coords_yx is not None
    assert stored.coords_yx.max(axis=0).tolist() == [256, 512]
    assert stored.file.attrs["encoder"] == "test_resnet"


def test_finished_files_are_kept_and_damaged_ones_made_again(slides: Path, tmp_path: Path) -> None:
    job = EmbedJob(out=tmp_path, slides=slides, overrides=TINY)
    embed(job)
    before = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "b.h5").write_bytes(before[:1000])
    facts = (tmp_path / "a.h5").stat()
    result = embed(job)
    assert isinstance(result, Result)
    assert (result.metrics["kept"], result.metrics["done"]) == (1, 1)
    assert (tmp_path / "a.h5").stat() == facts
    assert (tmp_path / "b.h5").stat().st_size == len(before)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoder.name": "test_vit"}, "encoder test_resnet, not test_vit"),
        ({"training.seed": 5}, "other weights"),
        ({"tiling.min_tissue": 0.9}, "tiling.min_tissue"),
    ],
)
def test_a_folder_of_other_features_is_refused(
    slides: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    embed(EmbedJob(out=tmp_path, slides=slides, overrides=TINY))
    with pytest.raises(JobError, match=reason):
        embed(EmbedJob(out=tmp_path, slides=slides, overrides=TINY | change))


def test_parts_join_to_the_bytes_of_the_whole(slides: Path, tmp_path: Path) -> None:
    whole = EmbedJob(out=tmp_path / "whole", slides=slides, overrides=SMALL_TILES)
    parts = EmbedJob(out=tmp_path / "parts", slides=slides, overrides=SMALL_TILES, part_tiles=256)
    for job in (whole, parts):
        embed(job)
    assert len(read_features(tmp_path / "whole" / "a.h5").features) > 256
    for name in ("a.h5", "b.h5"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "parts" / ".parts").exists()


def test_a_cancelled_giant_goes_on_with_its_next_part(slides: Path, tmp_path: Path) -> None:
    job = EmbedJob(out=tmp_path, slides=slides, overrides=SMALL_TILES, part_tiles=256)
    seen: list[Event] = []

    def has_a_part() -> bool:
        return bool(list(tmp_path.glob(".parts/a.h5-*/part-*.npz")))

    assert isinstance(embed(job, should_stop=has_a_part), Cancelled)
    (first,) = tmp_path.glob(".parts/a.h5-*/part-00000.npz")
    before = first.stat()
    assert not (tmp_path / "a.h5").exists()

    def note(event: Event) -> None:
        seen.append(event)
        if first.exists():
            assert first.stat() == before

    assert isinstance(run_embed(job, note, lambda: False), Result)
    stages = [e for e in seen if isinstance(e, Progress) and e.message == "a"]
    assert "Finding tissue" not in {event.stage for event in stages}


@pytest.mark.parametrize("damaged", ["plan.npz", "part-00000.npz"])
def test_a_damaged_part_is_made_anew_by_the_next_run(
    slides: Path, tmp_path: Path, damaged: str
) -> None:
    job = EmbedJob(out=tmp_path, slides=slides, overrides=SMALL_TILES, part_tiles=256)

    def has_a_part() -> bool:
        return bool(list(tmp_path.glob(".parts/a.h5-*/part-*.npz")))

    embed(job, should_stop=has_a_part)
    (file,) = tmp_path.glob(f".parts/a.h5-*/{damaged}")
    file.write_bytes(file.read_bytes()[:100])
    first = embed(job)
    assert isinstance(first, Result)
    assert "Run the command again" in first.skipped["a"]
    again = embed(job)
    assert isinstance(again, Result)
    assert "a" in again.paths


def test_parts_of_other_settings_go_with_the_last(slides: Path, tmp_path: Path) -> None:
    job = EmbedJob(out=tmp_path, slides=slides, overrides=SMALL_TILES, part_tiles=256)

    def has_a_part() -> bool:
        return bool(list(tmp_path.glob(".parts/a.h5-*/part-*.npz")))

    embed(job, should_stop=has_a_part)
    embed(job.model_copy(update={"part_tiles": 20_000}))
    assert not (tmp_path / ".parts").exists()


@pytest.fixture
def work(tmp_path: Path) -> EmbedWork:
    """Return what embeds slides in parts of 256 tiles, with a tiny encoder."""
    config = with_overrides(load_preset("default"), SMALL_TILES)
    encoder = TileEncoder(config.encoder)
    encoder.get_ready()
    sha256 = save_snapshot(encoder, config.encoder, tmp_path / "encoders")
    origin = FeatureOrigin("test_resnet", sha256, config.tiling.mpp, 32)
    return EmbedWork(tmp_path / "encoders", origin, 32, config.tiling, part_tiles=256)


def quiet() -> Reporter:
    return Reporter(lambda event: None, lambda: False)


def test_a_part_of_a_slide_that_another_has_joined_is_no_error(
    slides: Path, work: EmbedWork, tmp_path: Path
) -> None:
    item = SlideItem("a", slides / "a.tif", tmp_path / "a.h5")
    parts = do_slide(work, item, quiet())
    assert parts.kind == "parts"
    for part in range(parts.n_parts):
        assert do_part(work, item, part, quiet()).kind == "part"
    assert join_parts(work, item, quiet()).kind == "done"
    assert do_part(work, item, 0, quiet()).kind == "kept"


def test_a_part_of_a_slide_that_is_not_seen_here_is_left_to_others(
    work: EmbedWork, tmp_path: Path
) -> None:
    item = SlideItem("a", tmp_path / "elsewhere.tif", tmp_path / "a.h5")
    assert do_part(work, item, 0, quiet()).kind == "unseen"
    assert join_parts(work, item, quiet()).kind == "unseen"


def test_no_slide_at_all_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    (folder / "broken.tif").write_bytes(b"no slide at all")
    with pytest.raises(SlideError, match="None of the 1 slides could be embedded"):
        embed(EmbedJob(out=tmp_path / "out", slides=folder, overrides=TINY))


def test_the_folder_must_be_one_that_can_be_written(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DreSlclError, match="cannot be written"):
        embed(EmbedJob(out=tmp_path / "file" / "out", slides=slides, overrides=TINY))


def test_a_table_may_name_slides_that_only_others_see(slides: Path, tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,patient_id\n{slides / 'a.tif'},p\n{slides / 'far.tif'},q\n")
    result = embed(EmbedJob(out=tmp_path / "out", cohort=table, overrides=TINY))
    assert isinstance(result, Result)
    assert list(result.paths) == ["a"]
    assert "does not exist" in result.skipped["far"]


def test_a_name_that_no_disk_takes_is_told_before_the_work(slides: Path, tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide_id,slide,patient_id\n{'切' * 90},{slides / 'a.tif'},p\n")
    with pytest.raises(DreSlclError, match="too long for the name of a file"):
        embed(EmbedJob(out=tmp_path / "out", cohort=table, overrides=TINY))
