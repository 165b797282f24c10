"""Likeness of tiles to a phrase: cosines of what the files say, read again where they change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.gui.similarity import SpaceReader
from napari_dre_slcl.results import load_result, save_result


def test_likeness_is_the_cosine_and_follows_a_result_that_is_written_anew(
    trained, tmp_path: Path
) -> None:
    result = load_result(trained.result_path)
    n_tiles = len(result.rowcol)
    rng = np.random.default_rng(0)
    space = rng.standard_normal((2, n_tiles, 8))
    space /= np.linalg.norm(space, axis=2, keepdims=True)
    phrase = np.eye(8, dtype=np.float32)[:1]
    np.save(tmp_path / "phrase.npy", phrase)
    path, reader = tmp_path / "a.dreslcl.npz", SpaceReader()

    for one in space:
        save_result(replace(result, report_space=one.astype(np.float16)), path)
        found = reader.similarity(path, tmp_path / "phrase.npy", phrase[0])
        np.testing.assert_allclose(found.values, one[:, 0], atol=1e-3)
        assert found.slide == pytest.approx(1)

    path.unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        reader.similarity(path, tmp_path / "phrase.npy", None)
