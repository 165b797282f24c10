"""The cost model: amounts that agree with the engine's own, and constants found from trainings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.cost_bytes import (
    checkpoint_bytes,
    known_memory,
    memory_amounts,
    memory_bytes,
    network_bytes,
)
from napari_dre_slcl.engine.cost_cohort import make_cohort
from napari_dre_slcl.engine.cost_fit import Measured, fit
from napari_dre_slcl.engine.cost_measure import Subject, Trial, measure_trial, network_size
from napari_dre_slcl.engine.cost_model import COMPONENTS, seconds_of
from napari_dre_slcl.engine.cost_scale import NetworkSize, Scale
from napari_dre_slcl.engine.cost_trial import main
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.methods.sampling import steps_per_epoch
from napari_dre_slcl.model.memory_bank import MemoryBank

NETWORK = NetworkSize(
    dim=16, stored_dim=0, text_dim=8, classes=4, weight_bytes=4000, trained_bytes=3000
)


def make_scale(slides: int, tiles: int, ranks: int = 1, **settings: object) -> Scale:
    config = with_overrides(load_preset("cpu-small"), settings)
    return Scale.of(config, (slides, slides // 3, slides // 3), tiles, NETWORK, ranks)


def test_bank_bytes_are_those_of_the_bank() -> None:
    scale = make_scale(5, 7)
    bank = MemoryBank([7] * 5, 16, scale.codewords)
    codewords = 8 * scale.codewords * 16
    assert scale.bank_bytes + codewords == bank.n_bytes


def test_checkpoint_bytes_are_those_of_the_changes() -> None:
    scale = make_scale(4, 50, **{"training.fresh_tiles": 10, "training.slides_per_batch": 2})
    bank = MemoryBank([50] * 4, 16, scale.codewords)
    for slide in range(4):
        bank.fill(slide, torch.arange(50), torch.randn(50, 16))
    bank.commit_generation()
    bank.index(lambda x: (torch.zeros(len(x)).long(), torch.ones(len(x))), torch.zeros(8, 16))
    bank.apply(bank.changes())
    for slide in range(4):
        rows = bank.rows(slide, torch.arange(10))
        features = bank.blended(rows, torch.randn(10, 16))
        bank.write_rows(rows, features, torch.zeros(10).long(), torch.ones(10), 1)
    changed = sum(x.numel() * x.element_size() for x in bank.changes().values())
    of_bank = checkpoint_bytes(scale) - scale.weight_bytes - 2 * scale.trained_bytes
    codewords = 8 * scale.codewords * 16
    assert of_bank == pytest.approx(changed - codewords, rel=0.05)


@pytest.mark.parametrize("slides", [7, 8, 9, 33])
def test_steps_are_those_that_are_drawn(slides: int) -> None:
    scale = make_scale(slides, 10)
    drawn = steps_per_epoch([""] * slides, [""] * slides, 8, within_site=False)
    assert scale.steps == drawn


def test_a_process_alone_sends_nothing() -> None:
    assert network_bytes(make_scale(16, 10)) == {}


def test_a_ring_sends_twice_the_gradients_less_a_share() -> None:
    sent = network_bytes(make_scale(16, 10, ranks=4))
    assert sent["gradients"] == pytest.approx(2 * 3 / 4 * 3000)
    assert sent["slide vectors"] == 3 * 2 * 4 * 16


def test_more_processes_share_tiles_tissue_and_held_out_slides_but_each_opens_all() -> None:
    constants = {name: dict.fromkeys(of(make_scale(9, 9)), 1.0) for name, of in COMPONENTS.items()}
    for known in constants.values():
        known["meeting"] = 0.0
    one = seconds_of(make_scale(96, 100), constants)
    four = seconds_of(make_scale(96, 100, ranks=4), constants)
    for name in ("first pass", "validation"):
        assert four[name] == pytest.approx(one[name] / 4)
    assert four["test slides"] - 1 == pytest.approx((one["test slides"] - 1) / 4)
    n_slides = 96 + 2 * 32
    assert one["opening slides"] == n_slides * 101
    assert four["opening slides"] == n_slides * (1 + 100 / 4)


def test_processes_meet_once_a_slide_and_a_step_and_one_process_meets_nobody() -> None:
    constants = {name: {"meeting": 1.0} for name in COMPONENTS}
    assert seconds_of(make_scale(96, 100), constants) == {}
    two = make_scale(96, 100, ranks=2)
    met = seconds_of(two, constants)
    assert met["first pass"] == 96 / 2
    assert met["steps"] == two.steps * two.epochs


def test_a_slide_is_validated_by_one_process_however_many_there_are() -> None:
    many = make_scale(96, 100, ranks=64)  # of 32 slides that validate
    assert COMPONENTS["validation"](many) == COMPONENTS["validation"](replace(many, ranks=32))


def test_constants_are_found_again_and_predict_another_size() -> None:
    rng = np.random.default_rng(0)
    known = {
        name: {unit: float(rng.uniform(0.5, 2)) for unit in of(make_scale(9, 9))}
        for name, of in COMPONENTS.items()
    }
    memory = {"once": 5e8, "slide": 1e4, "fresh tile of a step": 1e6}
    sizes = [(20, 40, 8, 16), (20, 900, 8, 16), (80, 40, 8, 16), (80, 40, 2, 16), (80, 40, 8, 4)]

    def measured(slides: int, tiles: int, batch: int, fresh: int) -> Measured:
        settings = {"training.slides_per_batch": batch, "training.fresh_tiles": fresh}
        scale = make_scale(slides, tiles, **settings)
        peak = sum(memory_bytes(scale, memory).values())
        return Measured(scale, seconds_of(scale, known), peak)

    fitted = fit([measured(*size) for size in sizes])
    other = measured(300, 1000, 8, 16)
    found = seconds_of(other.scale, fitted.seconds)
    assert sum(found.values()) == pytest.approx(sum(other.seconds.values()), rel=1e-3)
    assert found["first pass"] == pytest.approx(other.seconds["first pass"], rel=1e-3)
    peak = sum(memory_bytes(other.scale, fitted.memory).values())
    assert peak == pytest.approx(other.peak_bytes, rel=1e-3)


def test_nothing_in_memory_grows_faster_than_the_cohort() -> None:
    few, many = (known_memory(make_scale(n, 500)) for n in (1000, 10_000))
    assert all(many[name] <= 10.5 * few[name] for name in few)


def test_a_bank_that_is_too_large_is_counted_by_its_changed_pages() -> None:
    small, large = (make_scale(64, 1000, **{"training.bank_memory_mib": mib}) for mib in (4096, 1))
    assert not large.is_bank_in_memory
    assert known_memory(large)["memory bank"] != known_memory(small)["memory bank"]
    assert memory_amounts(large) == memory_amounts(small)


def test_other_methods_are_refused() -> None:
    with pytest.raises(ConfigError, match="attention-mil"):
        make_scale(10, 10, method="attention-mil")


def test_the_network_of_a_preset_is_counted() -> None:
    config = with_overrides(load_preset("cpu-small"), {"encoder.name": "test_vit"})
    size = network_size(config, None, classes=3, reports=1000)
    assert size.text_dim == config.text.dim
    assert 0 < size.trained_bytes <= size.weight_bytes
    frozen = with_overrides(config, {"encoder.trainable_blocks": 0})
    assert network_size(frozen, None, 3, 1000).trained_bytes < size.trained_bytes


def test_a_made_cohort_has_the_tiles_that_were_asked_for(tmp_path: Path) -> None:
    made = make_cohort(tmp_path / "made", 10, 6, load_preset("cpu-small"), None)
    counts = [n for split in made.tiles.values() for n in split]
    assert len(counts) == 10
    assert sum(counts) / 10 == pytest.approx(6, rel=0.2)


def test_every_stage_of_a_training_is_known(tmp_path: Path) -> None:
    subject = Subject("cpu-small", {"training.fresh_tiles": 4}, feature_dim=8, clock="processor")
    measured = measure_trial(subject, Trial(12, 30))
    assert set(measured.seconds) <= set(COMPONENTS)
    assert measured.seconds["steps"] > 0
    assert measured.scale.source == "features"
    assert measured.scale.tiles == 30


def test_a_training_that_fails_says_why(tmp_path: Path, capsys) -> None:
    job = {"cohort": str(tmp_path / "none.csv"), "run_dir": str(tmp_path / "run")}
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"job": job, "clock": "wall", "out": str(tmp_path / "out.json")}))
    assert main(spec) == 2
    assert "none.csv" in capsys.readouterr().err


def test_an_evenly_sharded_cohort_halves_the_largest_batch() -> None:
    one = make_scale(64, 10)
    assert replace(one, ranks=2).largest_batch == one.largest_batch / 2
