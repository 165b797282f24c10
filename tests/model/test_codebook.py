"""Codewords are k-means centres; ties and scarcity have known answers."""

import pytest
import torch

from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.codebook import assign_codewords, fit_codebook


def test_separate_clusters_become_codewords() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(4) * 5
    features = (centres[:, None] + 0.01 * torch.randn(4, 30, 4, generator=generator)).flatten(0, 1)
    codewords = fit_codebook(features, 4, seed=0)
    distance = torch.cdist(centres, codewords).min(1).values
    assert distance.max() < 0.02
    owner = assign_codewords(features, codewords).view(4, 30)
    assert (owner == owner[:, :1]).all()
    assert len(owner[:, 0].unique()) == 4


def test_the_same_seed_gives_the_same_codewords() -> None:
    features = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(fit_codebook(features, 5, seed=3), fit_codebook(features, 5, seed=3))


def test_assignment_is_the_nearest_codeword() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(100, 7, generator=generator)
    codewords = torch.randn(9, 7, generator=generator)
    expected = torch.cdist(features, codewords).argmin(1)
    assert torch.equal(assign_codewords(features, codewords), expected)


def test_a_tie_goes_to_the_lower_number() -> None:
    codewords = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert assign_codewords(torch.tensor([[0.0, 2.0]]), codewords).tolist() == [0]


def test_too_few_tiles_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 training tiles are too few for 16 codewords"):
        fit_codebook(torch.randn(3, 4), 16, seed=0)


def test_features_that_are_not_numbers_are_refused() -> None:
    features = torch.randn(20, 3)
    features[4, 1] = torch.nan
    with pytest.raises(ModelError, match="not numbers for 1 of 20 tiles"):
        fit_codebook(features, 4, seed=0)
