"""One training step: gradients in parts, clipping by kind of weight, numbers that break."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.fresh_features import FreshFeatures
from napari_dre_slcl.engine.phase_clock import PHASES, PhaseClock
from napari_dre_slcl.engine.step import StepTaker
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.never_negatives import never_negatives
from napari_dre_slcl.methods.slide_batch import SlideBatch, SlideTruth
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.seeds import seeded

COUNTS = (7, 5, 6)


def make_method(**overrides: object) -> tuple[DreSlclConfig, DreSlcl]:
    settings = {
        "encoder.name": "test_vit",
        "encoder.input_px": 32,
        "codebook.codewords": 3,
        "residual.heads": 4,
        "training.fresh_tiles": 3,
        **overrides,
    }
    config = with_overrides(load_preset("default"), settings)
    torch.manual_seed(0)
    net = DreSlclNet(config, [2], 4)
    bank = MemoryBank(COUNTS, net.encoder.dim, 3, dtype=torch.float32)
    bank.begin_generation("start")
    for slide, count in enumerate(COUNTS):
        features = torch.randn(count, net.encoder.dim, generator=seeded(0, "bank", slide))
        bank.fill(slide, torch.arange(count), features)
    bank.commit_generation()
    truth = SlideTruth(
        labels=torch.tensor([[0], [1], [1]]),
        class_weights=(torch.ones(2),),
        task_names=("subtype",),
        reports=nn.functional.normalize(torch.randn(3, 4, generator=seeded(0, "text")), dim=1),
        has_report=torch.ones(3, dtype=torch.bool),
        is_same=never_negatives(["a", "b", "c"]),
        patients=("a", "b", "c"),
        sites=("", "", ""),
    )
    method = DreSlcl(config, net, bank, truth)
    method.fit_codewords()
    return config, method


def make_batch() -> SlideBatch:
    pixels = torch.randint(0, 256, (9, 32, 32, 3), generator=seeded(0, "pixels"), dtype=torch.uint8)
    fresh = (torch.tensor([0, 3, 5]), torch.tensor([1, 2, 4]), torch.tensor([0, 1, 5]))
    return SlideBatch((0, 1, 2), fresh, pixels)


@pytest.mark.parametrize("chunk", [1, 2, 4, 9, 100])
def test_a_few_tiles_at_a_time_give_the_gradient_of_all_at_once(chunk: int) -> None:
    grads = []
    for size in (None, chunk):
        config, method = make_method(
            **{"training.encode_chunk": size, "training.clip_encoder": 1e9}
        )
        losses = StepTaker(config, method).take(make_batch(), step=1)
        grads.append([losses["loss"], *(weight.grad for weight in method.net.parameters())])
    for whole, parts in zip(*grads, strict=True):
        difference = torch.as_tensor(parts) - torch.as_tensor(whole)
        assert float(difference.norm()) <= 1e-4 * float(torch.as_tensor(whole).norm())


def test_a_random_encoder_is_the_same_when_it_is_run_again() -> None:
    encoder = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    inputs, target = torch.randn(5, 4), torch.randn(5, 2)

    def reseed(chunk: int, place: slice = slice(0)) -> nullcontext:
        torch.manual_seed(chunk)
        return nullcontext()

    fresh = FreshFeatures(encoder, inputs, 2, reseed, is_trainable=True)
    torch.manual_seed(99)
    (fresh.values * target).sum().backward()
    fresh.backward(lambda tensor, gradient: tensor.backward(gradient))
    found = [weight.grad.clone() for weight in encoder.parameters()]
    encoder.zero_grad()
    outputs = []
    for number, chunk in enumerate(inputs.split(2)):
        reseed(number)
        outputs.append(encoder(chunk))
    torch.testing.assert_close(fresh.values, torch.cat(outputs), rtol=0, atol=0)
    (torch.cat(outputs) * target).sum().backward()
    for one, weight in zip(found, encoder.parameters(), strict=True):
        torch.testing.assert_close(one, weight.grad)


def as_it_is(_chunk: int, _place: slice) -> nullcontext:
    return nullcontext()


def test_batch_normalisation_counts_the_tiles_of_a_step_once() -> None:
    figures = []
    for is_in_parts in (True, False):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        inputs = torch.randn(5, 4)
        if is_in_parts:  # of 3 and 2 tiles: none is left alone
            fresh = FreshFeatures(
                encoder, inputs, 4, lambda chunk, place: nullcontext(), is_trainable=True
            )
            fresh.values.sum().backward()
            fresh.backward(lambda tensor, gradient: tensor.backward(gradient))
        else:
            for chunk in inputs.tensor_split(2):
                encoder(chunk)
        figures.append(dict(encoder.named_buffers()))
    for name, found in figures[0].items():
        torch.testing.assert_close(found, figures[1][name], msg=name)


def test_one_value_for_batch_normalisation_is_told() -> None:
    encoder = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    with pytest.raises(ModelError, match="gave it one value to go by"):
        FreshFeatures(
            encoder, torch.randn(2, 4), 1, lambda chunk, place: nullcontext(), is_trainable=True
        )


def test_a_frozen_encoder_gets_no_gradient_and_the_rest_learns() -> None:
    config, method = make_method(**{"encoder.trainable_blocks": 0})
    before = copy.deepcopy(method.net.state_dict())
    StepTaker(config, method).take(make_batch(), step=1)
    changed = {
        name.split(".")[0]
        for name, value in method.net.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert changed == {"tile_attention", "residual_encoder", "heads", "projection", "log_scale"}


def test_encoder_and_rest_are_clipped_each_on_its_own() -> None:
    limits = {"training.clip_encoder": 1e-3, "training.clip_norm": 2e-3}
    config, method = make_method(**limits)
    StepTaker(config, method).take(make_batch(), step=1)
    encoder = {id(weight) for weight in method.net.encoder.parameters()}
    for is_encoder, limit in ((True, 1e-3), (False, 2e-3)):
        norms = [
            weight.grad.norm()
            for weight in method.net.parameters()
            if (id(weight) in encoder) == is_encoder and weight.grad is not None
        ]
        assert float(torch.stack(norms).norm()) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("heads", r"at step 7 because the loss is no longer a number\. Lower training\.lr_encoder"),
        ("gradient", r"at step 7 because the gradient of the tile encoder is no longer a number"),
    ],
)
def test_a_number_that_breaks_stops_the_run_and_leaves_the_bank(part: str, sentence: str) -> None:
    config, method = make_method()
    if part == "heads":
        with torch.no_grad():
            method.net.heads[0].weight.fill_(float("nan"))
    else:
        weight = next(method.net.encoder.parameters())
        weight.register_hook(lambda gradient: gradient * float("inf"))
    before = [method.bank.features(slide).clone() for slide in range(3)]
    with pytest.raises(ModelError, match=sentence):
        StepTaker(config, method).take(make_batch(), step=7)
    for slide in range(3):
        assert torch.equal(method.bank.features(slide), before[slide])


def test_the_clock_counts_every_phase_of_a_step_once() -> None:
    config, method = make_method()
    clock = PhaseClock(method.device)
    with clock("reading"):
        batch = make_batch()
    StepTaker(config, method).take(batch, step=1, clock=clock)
    seconds = clock.read()
    assert tuple(seconds) == PHASES
    assert all(value > 0 for value in seconds.values())
    assert set(clock.read().values()) == {0.0}
