"""What is picked from a probe's figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.estimate import Workload, seconds_to_go, step_memory
from napari_dre_slcl.engine.picks import chunk_that_fits, readers_that_keep_up
from napari_dre_slcl.engine.probe import Probe
from napari_dre_slcl.errors import JobError

MIB = 2**20
WORK = Workload(
    train_tiles=1000,
    val_tiles=100,
    test_tiles=200,
    fresh_tiles=50,
    largest_step=64,
    steps=10,
    cached_share=0.0,
    cache_bytes=0,
    weight_bytes=4 * MIB,
    trained_bytes=4 * MIB,
)
PROBE = Probe(
    tiles=256,
    read_per_s=100,
    encode_per_s=50,
    step_per_s=10,
    kept_per_tile=MIB,
    gpu_peak=0,
    encode_chunk=None,
)


def _config(**changes: object) -> DreSlclConfig:
    few = {"training.epochs": 4, "training.refill_every_epochs": 0}
    return with_overrides(load_preset("default"), few | changes)


@pytest.mark.parametrize(
    ("room_mib", "chunk"), [(None, None), (64, None), (63, 32), (20, 16), (2, 1)]
)
def test_as_many_tiles_go_through_the_encoder_as_memory_holds(
    room_mib: int | None, chunk: int | None
) -> None:
    picked = chunk_that_fits(WORK, PROBE, None if room_mib is None else room_mib * MIB)
    assert picked == chunk
    if room_mib is not None:
        assert step_memory(WORK, PROBE, picked) <= room_mib * MIB


def test_a_chunk_that_is_set_and_fits_stays() -> None:
    assert chunk_that_fits(WORK, replace(PROBE, encode_chunk=7), 8 * MIB) == 7


def test_a_single_tile_that_does_not_fit_is_refused() -> None:
    with pytest.raises(JobError, match=r"The gradient of one tile takes 1\.0 MiB .*checkpointing"):
        chunk_that_fits(WORK, PROBE, MIB // 2)


def test_a_machine_without_room_for_a_single_tile_is_refused() -> None:
    with pytest.raises(JobError, match=r"Not even one fresh tile .* training\.device to cpu"):
        chunk_that_fits(WORK, replace(PROBE, step_per_s=0), None)


def test_readers_are_added_only_where_reading_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    config = _config(**{"training.workers": 2})
    assert readers_that_keep_up(config, PROBE) is None
    assert readers_that_keep_up(config, replace(PROBE, encode_per_s=105)) is None
    assert readers_that_keep_up(config, replace(PROBE, encode_per_s=250)) == 5
    assert readers_that_keep_up(config, replace(PROBE, encode_per_s=9999)) == 8  # processors
    many = _config(**{"training.workers": 8})
    assert readers_that_keep_up(many, replace(PROBE, encode_per_s=9999)) is None


def test_time_to_go_adds_up_reading_and_computing_on_a_cpu_and_overlaps_them_beside_a_gpu() -> None:
    config = _config()
    together = seconds_to_go(config, WORK, PROBE, is_overlapped=True)
    assert together == {
        "filling the memory bank": 20,  # 1000 tiles, 50 encoded per second
        "steps": 200,  # 4 epochs of 10 steps of 50 tiles, 10 per second
        "validation": 8,
        "held-out slides": 4,
    }
    apart = seconds_to_go(config, WORK, PROBE, is_overlapped=False)
    assert apart["filling the memory bank"] == 20 + 10
    assert apart["steps"] == 200 + 20


def test_tiles_that_stay_in_memory_are_read_once() -> None:
    half = replace(WORK, cached_share=0.5)
    config = _config(**{"training.refill_every_epochs": 2, "training.refresh_stalest": 0.1})
    parts = seconds_to_go(config, half, PROBE, is_overlapped=False)
    assert parts["filling the memory bank"] == 20 + 10
    assert parts["steps"] == 200 + 10
    # Two refills of 1000 tiles and 100 stale tiles after each of 4 epochs.
    assert parts["refreshing the bank"] == pytest.approx(2400 / 50 + 2400 / 100 / 2)


def test_pretraining_counts_both_views() -> None:
    parts = seconds_to_go(_config(**{"pretrain.epochs": 3}), WORK, PROBE, is_overlapped=True)
    assert parts["pretraining"] == 2 * 3 * 1000 / 10
