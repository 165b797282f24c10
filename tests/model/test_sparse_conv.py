"""The sparse convolution against a dense one, and ResNet's layer4 against timm's."""

import pytest
import torch
from torch.nn import functional as F

from napari_dre_slcl.model.sparse_aggregator import SparseAggregator
from napari_dre_slcl.model.sparse_conv import SparseConv2d, SparseMap, make_sparse_map
from napari_dre_slcl.model.torchvision_repair import ensure_torchvision


def _random_map(n_maps: int, height: int, width: int, dim: int, share: float) -> SparseMap:
    generator = torch.Generator().manual_seed(0)
    is_there = torch.rand(n_maps, height, width, generator=generator) < share
    cells = is_there.nonzero()
    features = torch.randn(len(cells), dim, generator=generator, dtype=torch.float64)
    return SparseMap(features, cells, n_maps)


def _dense(sparse: SparseMap, height: int, width: int) -> torch.Tensor:
    dense = sparse.features.new_zeros(sparse.n_maps, height, width, sparse.features.shape[1])
    return dense.index_put(tuple(sparse.cells.T), sparse.features).permute(0, 3, 1, 2)


def _dense_weight(conv: SparseConv2d) -> torch.Tensor:
    size = conv.kernel_size
    return conv.weight.unflatten(0, (size, size)).permute(3, 2, 0, 1)


def _at(dense: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    return dense[cells[:, 0], :, cells[:, 1], cells[:, 2]]


@pytest.mark.parametrize("share", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_values_are_those_of_a_dense_convolution(
    kernel_size: int, stride: int, share: float
) -> None:
    sparse = _random_map(3, 7, 6, 4, share)
    torch.manual_seed(1)
    conv = SparseConv2d(4, 5, kernel_size, stride).double()
    out = conv(sparse)
    dense = F.conv2d(_dense(sparse, 7, 6), _dense_weight(conv), None, stride, kernel_size // 2)
    torch.testing.assert_close(out.features, _at(dense, out.cells))


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_a_dense_convolution(stride: int) -> None:
    sparse = _random_map(2, 5, 5, 3, 0.5)
    features = sparse.features.requires_grad_()
    torch.manual_seed(1)
    conv = SparseConv2d(3, 2, 3, stride).double()
    out = conv(sparse)
    dense = F.conv2d(_dense(sparse, 5, 5), _dense_weight(conv), None, stride, 1)
    ours = torch.autograd.grad(out.features.square().sum(), [features, conv.weight])
    theirs = torch.autograd.grad(_at(dense, out.cells).square().sum(), [features, conv.weight])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_stride_1_keeps_the_occupied_cells() -> None:
    sparse = _random_map(2, 6, 6, 3, 0.3)
    out = SparseConv2d(3, 3, 3).double()(sparse)
    assert torch.equal(out.cells, sparse.cells)


def test_stride_2_halves_the_cells() -> None:
    sparse = make_sparse_map(torch.ones(3, 2), torch.tensor([[0, 1, 0], [0, 0, 1], [0, 5, 2]]), 1)
    assert SparseConv2d(2, 2, 3, stride=2)(sparse).cells.tolist() == [[0, 0, 0], [0, 2, 1]]


def test_maps_and_rows_do_not_touch() -> None:
    # The last column of a row and the first of the next, the last row of a map and the next map.
    cells = torch.tensor([[0, 0, 2], [0, 1, 0], [0, 2, 2], [1, 0, 0], [1, 2, 2]])
    conv = SparseConv2d(2, 2, 3)
    features = torch.randn(5, 2)
    together = conv(make_sparse_map(features, cells, 2)).features
    torch.testing.assert_close(together, features @ conv.weight[4])


def test_tiles_of_a_cell_are_averaged() -> None:
    cells = torch.tensor([[0, 1, 1], [0, 0, 0], [0, 1, 1]])
    sparse = make_sparse_map(torch.tensor([[1.0], [5.0], [3.0]]), cells, 1)
    assert sparse.cells.tolist() == [[0, 0, 0], [0, 1, 1]]
    assert sparse.features.flatten().tolist() == [5.0, 2.0]
    assert sparse.mean().item() == 3.5


def test_an_empty_map_gives_zeros() -> None:
    sparse = make_sparse_map(torch.ones(1, 3), torch.tensor([[1, 0, 0]]), 3)
    assert sparse.mean().tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        SparseConv2d(2, 2, 2)


def test_a_full_map_gives_what_resnet_gives() -> None:
    ensure_torchvision()
    import timm

    layer = timm.create_model("resnet18").layer4.eval()
    ours = SparseAggregator(256, 512).eval()
    for mine, block in zip(ours.blocks, layer, strict=True):
        pairs = [(mine.conv1, block.conv1), (mine.conv2, block.conv2)]
        if block.downsample is not None:
            pairs.append((mine.skip, block.downsample[0]))
            mine.skip_norm.load_state_dict(block.downsample[1].state_dict())
        mine.norm1.load_state_dict(block.bn1.state_dict())
        mine.norm2.load_state_dict(block.bn2.state_dict())
        for conv, dense in pairs:
            conv.weight.data.copy_(dense.weight.permute(2, 3, 1, 0).flatten(0, 1))
    maps = torch.randn(2, 256, 4, 4)
    cells = torch.cartesian_prod(torch.arange(4), torch.arange(4)).expand(2, -1, -1)
    with torch.no_grad():
        expected = layer(maps).mean((2, 3))
        found = ours(maps.flatten(2).transpose(1, 2), cells)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_bags_of_a_slide_are_averaged() -> None:
    torch.manual_seed(0)
    aggregator = SparseAggregator(3, 4).eval()
    features, bags = torch.randn(6, 3), torch.tensor([[0, 1], [2, 5], [0, 0]])
    cells = torch.randint(0, 4, (3, 2, 2))
    each = [
        aggregator(features[bag][None], cell[None]) for bag, cell in zip(bags, cells, strict=True)
    ]
    expected = torch.cat(each).mean(0)
    torch.testing.assert_close(aggregator.average(features, cells, bags), expected)
