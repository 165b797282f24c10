"""What must hold of DRE-SLCL whatever the settings (the list at the end of METHOD section 1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.slide_batch import SlideBatch, class_weights
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.seeds import seeded

VARIANTS = {
    "literal": {},
    "attention": {"residual.weighting": "attention"},
    "global token": {"residual.global_token": True},
    "default's codewords": {
        "residual.weighting": "attention",
        "residual.attention_width": 5,
        "residual.global_token": True,
        "residual.global_map": False,
        "residual.layer_scale": 0.01,
    },
    "intra": {"residual.normalisation": "intra"},
    "signed root": {"residual.normalisation": "signed-sqrt"},
    "mean tokens": {"residual.tokens": "mean"},
    "occupancy bias": {"residual.mass_bias": True},
    "mass pooling": {"residual.pooling": "mass"},
    "no rescaling": {"training.rescale_gradient": False},
    "summed anew": {"training.dynamic_sums": False},
    "views": {"loss.view_weight": 1.0},
    "all": {
        "residual.weighting": "attention",
        "residual.global_token": True,
        "residual.tokens": "mean",
        "residual.mass_bias": True,
        "residual.pooling": "mass",
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_fresh_tiles_get_gradient(lab, variant: str) -> None:
    method = lab.method(lab.config(**VARIANTS[variant]), (9, 7))
    batch = lab.batch(method, (0, 1))
    features = method.net.encoder(method.inputs(batch, 0)).detach().requires_grad_()
    method.loss(batch, features, 0)["loss"].backward()
    assert (features.grad.abs().sum(1) > 0).all()
    assert not any(method.bank.features(slide).requires_grad for slide in (0, 1))
    assert not method.net.bank_sums(method.bank.features(0)).residual.requires_grad
    assert not method.bank.sums(0).residual.requires_grad


def test_a_step_trains_the_tile_encoder(lab) -> None:
    method = lab.method(lab.config(), (9, 7))
    before = [parameter.clone() for parameter in method.net.encoder.parameters()]
    lab.step(method, lab.batch(method, (0, 1)))
    after = list(method.net.encoder.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_after_a_step_exactly_the_drawn_rows_changed_and_all_are_unit(lab) -> None:
    method = lab.method(lab.config(**{"training.augment": True}), (9, 7, 5))
    before = [method.bank.features(slide) for slide in range(3)]
    batch = lab.batch(method, (0, 2))
    lab.step(method, batch, step=4)
    drawn = dict(zip(batch.slides, batch.fresh, strict=True))
    for slide in range(3):
        changed = (method.bank.features(slide) != before[slide]).any(1).nonzero().squeeze(1)
        assert changed.tolist() == sorted(drawn.get(slide, torch.tensor([])).tolist())
        norms = method.bank.features(slide).norm(dim=1)
        torch.testing.assert_close(norms, torch.ones(len(norms)), atol=2e-3, rtol=0)
        written = (method.bank.ages(4) == 0).sum()
    assert written == 6


@pytest.mark.parametrize("variant", VARIANTS)
def test_fresh_and_bank_together_equal_all_fresh(lab, variant: str) -> None:
    method = lab.double(lab.config(**VARIANTS[variant]), (11, 8))
    with torch.no_grad():
        part = lab.batch(method, (0, 1))
        fresh = torch.cat([method.bank.features(i, part.fresh[i]) for i in (0, 1)])
        mixed = method.loss(part, fresh, 0)
        whole = SlideBatch((0, 1), (torch.arange(11), torch.arange(8)), torch.empty(0))
        everything = torch.cat([method.bank.features(0), method.bank.features(1)])
        expected = method.loss(whole, everything, 0)
    for name in expected.keys() - {"loss", "loss/view"}:  # views are of fresh tiles alone
        torch.testing.assert_close(mixed[name], expected[name], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("variant", ["literal", "all", "views"])
def test_slides_with_few_tiles_work(lab, variant: str, count: int) -> None:
    method = lab.method(lab.config(**VARIANTS[variant]), (count, 9, 5))
    batch = lab.batch(method, (0, 1, 2))
    assert len(batch.fresh[0]) == min(count, 3)
    losses = lab.step(method, batch)
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in method.net.parameters() if p.grad is not None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_slide_vector_does_not_depend_on_tile_order(lab, variant: str) -> None:
    # Two slides: residuals of the very tiles that k-means was fitted on add up to nothing.
    method = lab.method(lab.config(**VARIANTS[variant]), (40, 30))
    method.net.eval()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    straight = method.net.describe(method.bank.features(0))
    shuffled = method.net.describe(method.bank.features(0)[order])
    torch.testing.assert_close(shuffled.vector, straight.vector, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled.attention, straight.attention[order], atol=1e-6, rtol=1e-4)
    assert torch.equal(shuffled.codeword, straight.codeword[order])


@pytest.mark.parametrize("variant", VARIANTS)
def test_empty_codewords_never_give_nan_and_get_no_attention(lab, variant: str) -> None:
    method = lab.method(lab.config(**VARIANTS[variant]), (9, 7))
    method.net.codewords[2:] = 50.0  # too far for any tile
    method.index_bank()
    losses = lab.step(method, lab.batch(method, (0, 1)))
    assert all(torch.isfinite(value) for value in losses.values())
    method.net.eval()
    output = method.net.describe(method.bank.features(0))
    assert torch.isfinite(output.vector).all()
    assert output.codeword_attention[2:].tolist() == [0, 0]
    assert output.codeword_attention.sum().item() == pytest.approx(1, abs=1e-5)
    assert output.attention.sum().item() == pytest.approx(1, abs=1e-5)


def _saved_bytes(lab, method: DreSlcl, n_fresh: int) -> int:
    """Bytes that autograd keeps for the backward pass of one step."""
    batch = lab.batch(method, (0, 1), n_fresh)
    total = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        method.loss(batch, method.net.encoder(method.inputs(batch, 0)), 0)
    return total


@pytest.mark.parametrize("variant", ["literal", "attention", "summed anew"])
def test_memory_for_gradients_depends_on_fresh_tiles_not_on_slide_size(lab, variant: str) -> None:
    method = lab.method(lab.config(**VARIANTS[variant]), (20, 20))
    small, six, nine = (_saved_bytes(lab, method, s) for s in (3, 6, 9))
    assert _saved_bytes(lab, lab.method(lab.config(**VARIANTS[variant]), (400, 400)), 3) == small
    assert nine - six == six - small > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_gpu_memory_does_not_depend_on_slide_size(lab) -> None:
    peaks = []
    for count in (1_000, 100_000):
        config = lab.config()
        net = DreSlclNet(config, [2, 2], 8).to("cuda")
        bank = MemoryBank((count,), net.encoder.dim, 4)
        bank.fill(0, torch.arange(count), torch.randn(count, net.encoder.dim))
        bank.commit_generation()
        method = DreSlcl(config, net, bank, lab.truth(1))
        method.fit_codewords()
        batch = SlideBatch((0,), (torch.arange(3),), lab.pixels(3, 0))
        torch.cuda.reset_peak_memory_stats()
        lab.step(method, batch)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.02 * peaks[0]


def test_the_same_seed_gives_the_same_run_bit_for_bit(lab) -> None:
    def run(seed: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        changes = {"training.augment": True, "training.seed": seed, "training.tile_dropout": 0.5}
        method = lab.method(lab.config(**changes), (9, 7, 5, 8))
        trace = [
            lab.step(method, lab.batch(method, slides, step=step), step)["loss"]
            for step, slides in enumerate([(0, 1), (2, 3), (3, 0)])
        ]
        return trace, [value.clone() for value in method.net.state_dict().values()]

    (trace, weights), (again, weights_again), (other, _) = run(1), run(1), run(2)
    assert trace == again
    assert all(torch.equal(a, b) for a, b in zip(weights, weights_again, strict=True))
    assert trace != other


# -- dynamic sums ------------------------------------------------------------------------------


def _losses_and_gradients(
    method: DreSlcl, batch: SlideBatch, features: torch.Tensor
) -> list[torch.Tensor]:
    features = features.clone().requires_grad_()
    method.net.zero_grad()
    losses = method.loss(batch, features, 0)
    losses["loss"].backward()
    gradients = [p.grad for p in method.net.parameters() if p.grad is not None]
    return [*losses.values(), features.grad, *gradients]


@pytest.mark.parametrize("variant", VARIANTS)
def test_dynamic_sums_equal_a_recomputation_over_all_tiles(lab, variant: str) -> None:
    counts = (30, 12, 2, 45)
    results = []
    for is_dynamic in (True, False):
        changes = VARIANTS[variant] | {"training.dynamic_sums": is_dynamic}
        method = lab.double(lab.config(**changes), counts)
        for step in range(20):  # so that the sums have a history, and tiles changed codewords
            batch = lab.batch(method, (0, 1, 2, 3), 3, step)
            fresh = torch.randn(11, method.bank.dim, generator=seeded(2, step)).double()
            method.refresh(batch, fresh, step)
        batch = lab.batch(method, (3, 1, 0, 2), 4, step=99)
        fresh = torch.randn(14, method.bank.dim, generator=seeded(3)).double()
        fresh = torch.nn.functional.normalize(fresh, dim=1)
        results.append(_losses_and_gradients(method, batch, fresh))
    dynamic, anew = results
    assert len(dynamic) == len(anew) > 10
    for mine, expected in zip(dynamic, anew, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-9, rtol=1e-9)


def test_no_tile_counts_twice(lab) -> None:
    for is_dynamic in (True, False):
        method = lab.double(lab.config(**{"training.dynamic_sums": is_dynamic}), (11, 8))
        seen = []
        encode = method.net.encode_slides
        method.net.encode_slides = lambda sums, seen=seen, encode=encode: (
            seen.append(sums.count.sum(1).tolist()) or encode(sums)
        )
        batch = lab.batch(method, (0, 1))
        method.loss(batch, torch.randn(6, method.bank.dim).double(), 0)
        assert seen == [[11, 8]]


def test_gradient_of_fresh_tiles_is_scaled_by_slide_over_fresh(lab) -> None:
    gradients = []
    for is_rescaled in (False, True):
        method = lab.double(lab.config(**{"training.rescale_gradient": is_rescaled}), (12, 20))
        batch = SlideBatch((0, 1), (torch.tensor([0, 4, 8]), torch.arange(4)), torch.empty(0))
        fresh = torch.cat([method.bank.features(i, batch.fresh[i]) for i in (0, 1)])
        features = fresh.requires_grad_()
        method.loss(batch, features, 0)["loss"].backward()
        gradients.append(features.grad)
    torch.testing.assert_close(gradients[1][:3], gradients[0][:3] * (12 / 3))
    torch.testing.assert_close(gradients[1][3:], gradients[0][3:] * (20 / 4))


def test_a_process_without_slides_takes_part_where_no_weight_comes_after(lab) -> None:
    changes = {"loss.view_weight": 1.0, "loss.task_weight": 0.0, "loss.contrastive_weight": 0.0}
    method = lab.method(lab.config(**changes), (9, 9))
    method.truth = replace(method.truth, task_names=())
    empty = SlideBatch((), (), torch.empty(0), of_ranks=((), (0, 1)), viewed=((), (0, 1)))
    others = torch.nn.functional.normalize(torch.randn(6, method.net.codewords.shape[1]), dim=1)
    method.gather = lambda rows, counts: torch.cat([rows, others])
    loss = method.loss(empty, method.net.codewords[:0], step=0)["loss"]
    loss.backward()
    assert loss.item() > 0


def test_class_weights_are_balanced_and_know_tasks_without_labels() -> None:
    torch.testing.assert_close(class_weights([0, 0, 0, 1, -1], 2, True), torch.tensor([2 / 3, 2.0]))
    torch.testing.assert_close(class_weights([0, 0, 0, 1, -1], 2, False), torch.ones(2))
    assert class_weights([-1, -1], 2, True).isfinite().all()
