"""Feature files are opened: width, numbers, encoder, pixel size, places."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_dre_slcl.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.feature_contents import check_feature_contents
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features


def _cohort(folder: Path, names: str) -> Cohort:
    rows = tuple(
        SlideRow(name, None, name, "", "", None, "", {}, folder / f"{name}.h5", number)
        for number, name in enumerate(names, start=2)
    )
    return Cohort(folder / "cohort.csv", rows, ())


def _write(folder: Path, name: str, dim: int = 4, mpp: float = 0.5, encoder: str = "e") -> None:
    coords = np.arange(400).reshape(200, 2)
    origin = FeatureOrigin(encoder, "0", mpp, 256)
    write_features(folder / f"{name}.h5", np.ones((200, dim)), coords, origin, 512, 0.25)


def test_sound_files_have_no_findings(tmp_path: Path) -> None:
    for name in "abc":
        _write(tmp_path, name)
    seen: list[tuple[int, int]] = []
    found = check_feature_contents(_cohort(tmp_path, "abc"), on_file=lambda *n: seen.append(n))
    assert found == ((), ())
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert check_feature_contents(_cohort(tmp_path, "abc"), tmp_path) == ((), ())


def test_odd_files_are_named_with_their_rows(tmp_path: Path) -> None:
    for name in "abc":
        _write(tmp_path, name)
    _write(tmp_path, "d", dim=8)
    _write(tmp_path, "e", mpp=1.0, encoder="other")
    (tmp_path / "f.h5").write_bytes(b"no")
    _write(tmp_path, "g")
    with h5py.File(tmp_path / "g.h5", "r+") as stored:
        stored["features"][100, 1] = np.nan
        del stored["coords"]
    problems, warnings = check_feature_contents(_cohort(tmp_path, "abcdefgh"))
    assert [problem.rows for problem in problems] == [(5,), (7,), (8,)]
    assert "8 numbers per tile, most others 4" in problems[0].what
    assert "1 tiles whose features are not numbers" in problems[2].what
    told = [warning.sentence for warning in warnings]
    assert any("row 6: the features are of the encoder 'other'" in text for text in told)
    assert any("row 6: the tiles have pixels of 1 µm, most others pixels of 0.5" in t for t in told)
