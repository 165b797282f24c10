"""What must hold of DRE-SLCL whatever the settings (the list at the end of METHOD section 1)."""

from __future__ import annotations

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.dre_slcl import DreSlcl, SlideBatch, SlideTruth, class_weights
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet

PX = 32
VARIANTS = {
    "uniform": {},
    "attention": {"residual.weighting": "attention"},
    "global token": {"residual.global_token": True},
    "intra": {"residual.normalisation": "intra"},
    "signed root": {"residual.normalisation": "signed-sqrt"},
    "no rescaling": {"training.rescale_gradient": False},
}


def _config(**changes: object) -> DreSlclConfig:
    settings = {
        "encoder.name": "test_vit",
        "encoder.input_px": PX,
        "codebook.codewords": 4,
        "residual.weighting": "uniform",
        "residual.global_token": False,
        "training.fresh_tiles": 3,
        "training.epochs": 2,
        "training.augment": False,
        "training.bank_tiles": None,
    }
    return with_overrides(load_preset("cpu-small"), settings | changes)


def _pixels(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 64, (n, PX, PX, 3), generator=generator)
    tint = torch.randint(0, 192, (n, 1, 1, 3), generator=generator)
    return (noise + tint).to(torch.uint8)


def _method(config: DreSlclConfig, counts: tuple[int, ...], is_filled: bool = True) -> DreSlcl:
    torch.manual_seed(config.training.seed)
    net = DreSlclNet(config, [2, 2], 8)
    n = len(counts)
    truth = SlideTruth(
        labels=torch.stack([torch.arange(n) % 2, torch.arange(n) // 2 % 2], dim=1),
        class_weights=(torch.ones(2), torch.ones(2)),
        task_names=("subtype", "mutation"),
        reports=torch.nn.functional.normalize(torch.randn(n, 8), dim=1),
        has_report=torch.ones(n, dtype=torch.bool),
        is_same=torch.eye(n, dtype=torch.bool),
    )
    method = DreSlcl(config, net, MemoryBank(counts, net.encoder.dim), truth, total_steps=100)
    if is_filled:
        for slide, count in enumerate(counts):
            method.bank.write(
                slide, torch.arange(count), method.encode_tiles(_pixels(count, slide))
            )
        method.fit_codewords()
    return method


def _batch(method: DreSlcl, slides: tuple[int, ...]) -> SlideBatch:
    fresh = tuple(method.draw_fresh(slide) for slide in slides)
    tiles = [
        _pixels(method.bank.tile_count(slide), slide)[drawn]
        for slide, drawn in zip(slides, fresh, strict=True)
    ]
    return SlideBatch(slides, fresh, torch.cat(tiles))


def _encoded(method: DreSlcl, batch: SlideBatch) -> torch.Tensor:
    return method.net.encoder(batch.tiles.permute(0, 3, 1, 2).float() / 255)


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_fresh_tiles_get_gradient(variant: str) -> None:
    method = _method(_config(**VARIANTS[variant]), (9, 7))
    batch = _batch(method, (0, 1))
    features = _encoded(method, batch).detach().requires_grad_()
    method.losses(batch, features)["loss"].backward()
    assert (features.grad.abs().sum(1) > 0).all()
    assert not any(method.bank.features(slide).requires_grad for slide in (0, 1))
    assert not method.net.bank_sums(method.bank.features(0)).residual.requires_grad


def test_a_step_trains_the_tile_encoder() -> None:
    method = _method(_config(), (9, 7))
    before = [parameter.clone() for parameter in method.net.encoder.parameters()]
    method.step(_batch(method, (0, 1)))
    after = list(method.net.encoder.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_a_frozen_encoder_stays_and_the_rest_trains() -> None:
    method = _method(_config(**{"encoder.trainable_blocks": 0}), (9, 7))
    encoder = [parameter.clone() for parameter in method.net.encoder.parameters()]
    head = method.net.heads[0].weight.clone()
    method.step(_batch(method, (0, 1)))
    for old, new in zip(encoder, method.net.encoder.parameters(), strict=True):
        assert torch.equal(old, new)
    assert not torch.equal(head, method.net.heads[0].weight)


def test_after_a_step_exactly_the_drawn_rows_changed_and_all_are_unit() -> None:
    method = _method(_config(**{"training.augment": True}), (9, 7, 5))
    before = [method.bank.features(slide).clone() for slide in range(3)]
    batch = _batch(method, (0, 2))
    method.step(batch)
    drawn = dict(zip(batch.slides, batch.fresh, strict=True))
    for slide in range(3):
        changed = (method.bank.features(slide) != before[slide]).any(1).nonzero().squeeze(1)
        assert torch.equal(changed, drawn.get(slide, torch.tensor([], dtype=torch.int64)))
        norms = method.bank.features(slide).norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(len(norms)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_fresh_and_bank_together_equal_all_fresh(variant: str) -> None:
    config = _config(**VARIANTS[variant])
    method = _method(config, (11,))
    with torch.no_grad():
        part = _batch(method, (0,))
        mixed = method.losses(part, method.bank.features(0, part.fresh[0]))
        everything = SlideBatch((0,), (torch.arange(11),), _pixels(11, 0))
        whole = method.losses(everything, method.bank.features(0))
    for name in whole:
        torch.testing.assert_close(mixed[name], whole[name], atol=1e-5, rtol=1e-5)


def test_no_tile_counts_twice() -> None:
    method = _method(_config(), (11,))
    fresh = method.draw_fresh(0)
    assert len(fresh.unique()) == len(fresh) == 3
    rest = torch.tensor([tile for tile in range(11) if tile not in fresh.tolist()])
    sums = method.net.bank_sums(method.bank.features(0, fresh)) + method.net.bank_sums(
        method.bank.features(0, rest)
    )
    assert sums.count.sum().item() == 11


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_slides_with_few_tiles_work(count: int) -> None:
    method = _method(_config(), (count, 9))
    batch = _batch(method, (0, 1))
    assert len(batch.fresh[0]) == min(count, 3)
    assert torch.isfinite(torch.tensor(list(method.step(batch).values()))).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_slide_vector_does_not_depend_on_tile_order(variant: str) -> None:
    # Two slides: residuals of the very tiles that k-means was fitted on add up to nothing.
    method = _method(_config(**VARIANTS[variant]), (40, 30))
    method.net.eval()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    straight = method.net.describe(method.bank.features(0))
    shuffled = method.net.describe(method.bank.features(0)[order])
    torch.testing.assert_close(shuffled.vector, straight.vector, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.attention, straight.attention[order], atol=1e-6, rtol=1e-4)
    assert torch.equal(shuffled.codeword, straight.codeword[order])


@pytest.mark.parametrize("variant", VARIANTS)
def test_empty_codewords_never_give_nan_and_get_no_attention(variant: str) -> None:
    method = _method(_config(**VARIANTS[variant]), (9, 7))
    method.net.codewords[2:] = 50.0  # too far for any tile
    losses = method.step(_batch(method, (0, 1)))
    assert all(value == value for value in losses.values())
    method.net.eval()
    output = method.net.describe(method.bank.features(0))
    assert torch.isfinite(output.vector).all()
    assert output.codeword_attention[2:].tolist() == [0, 0]
    assert output.codeword_attention.sum().item() == pytest.approx(1, abs=1e-5)
    assert output.attention.sum().item() == pytest.approx(1, abs=1e-5)


def _saved_bytes(method: DreSlcl) -> int:
    """Bytes that autograd keeps for the backward pass of one step."""
    batch = _batch(method, (0, 1))
    total = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        method.losses(batch, _encoded(method, batch))
    return total


@pytest.mark.parametrize("variant", ["uniform", "attention", "global token"])
def test_memory_for_gradients_depends_on_fresh_tiles_not_on_slide_size(variant: str) -> None:
    small = _saved_bytes(_method(_config(**VARIANTS[variant]), (20, 20)))
    large = _saved_bytes(_method(_config(**VARIANTS[variant]), (400, 400)))
    assert large == small
    six, nine = (
        _saved_bytes(_method(_config(**VARIANTS[variant] | {"training.fresh_tiles": s}), (20, 20)))
        for s in (6, 9)
    )
    assert nine - six == six - small > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_gpu_memory_does_not_depend_on_slide_size() -> None:
    peaks = []
    for count in (1_000, 100_000):
        method = _method(_config(), (count,), is_filled=False)
        method.bank.write(0, torch.arange(count), torch.randn(count, method.net.encoder.dim))
        method.fit_codewords()
        method.net.to("cuda")
        fresh = method.draw_fresh(0)
        torch.cuda.reset_peak_memory_stats()
        method.step(SlideBatch((0,), (fresh,), _pixels(len(fresh), 0)))
        peaks.append(torch.cuda.max_memory_allocated())
    # A chunk of 8,192 bank rows passes through the GPU at a time, whatever the slide's size.
    assert peaks[1] - peaks[0] < 16 * 2**20


def test_the_same_seed_gives_the_same_run_bit_for_bit() -> None:
    def run(seed: int) -> tuple[list[dict[str, float]], list[torch.Tensor]]:
        method = _method(_config(**{"training.augment": True, "training.seed": seed}), (9, 7, 5, 8))
        trace = [
            method.step(_batch(method, slides))
            for _ in range(3)
            for slides in method.draw_batches()
        ]
        return trace, [value.clone() for value in method.net.state_dict().values()]

    (trace, weights), (again, weights_again), (other, _) = run(1), run(1), run(2)
    assert trace == again
    assert all(torch.equal(a, b) for a, b in zip(weights, weights_again, strict=True))
    assert trace != other


def test_gradient_of_fresh_tiles_is_scaled_by_slide_over_fresh() -> None:
    gradients = []
    for is_rescaled in (False, True):
        method = _method(_config(**{"training.rescale_gradient": is_rescaled}), (12,))
        batch = SlideBatch((0,), (torch.tensor([0, 4, 8]),), _pixels(12, 0)[[0, 4, 8]])
        features = method.bank.features(0, batch.fresh[0]).clone().requires_grad_()
        method.losses(batch, features)["loss"].backward()
        gradients.append(features.grad)
    torch.testing.assert_close(gradients[1], gradients[0] * (12 / 3))


def test_a_cap_on_bank_tiles_leaves_the_others_out() -> None:
    method = _method(_config(**{"training.bank_tiles": 0}), (12,))
    batch = _batch(method, (0,))
    with torch.no_grad():
        features = method.bank.features(0, batch.fresh[0])
        capped = method.losses(batch, features)
        alone = method.net.encode_slides([method.net.sums(features)]).vector
        expected = torch.nn.functional.cross_entropy(method.net.heads[0](alone), torch.tensor([0]))
    torch.testing.assert_close(capped["loss/subtype"], expected)


def test_an_epoch_draws_every_slide_once_in_batches_of_similar_size() -> None:
    method = _method(_config(**{"training.slides_per_batch": 4}), (3,) * 9)
    batches = method.draw_batches()
    assert sorted(slide for batch in batches for slide in batch) == list(range(9))
    assert sorted(len(batch) for batch in batches) == [3, 3, 3]


def test_a_loss_that_is_no_number_stops_with_a_sentence() -> None:
    method = _method(_config(), (9, 7))
    with torch.no_grad():
        method.net.heads[0].weight.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"no longer a number.*Lower training\.lr_encoder"):
        method.step(_batch(method, (0, 1)))


def test_class_weights_are_inverse_frequencies() -> None:
    assert class_weights([0, 0, 0, 1, -1], 2, True).tolist() == pytest.approx([4 / 6, 4 / 2])
    assert class_weights([0, 0, 0, 1], 2, False).tolist() == [1, 1]
