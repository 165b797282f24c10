"""Tables of tiles read back as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.export.tile_table import write_csv, write_parquet
from napari_dre_slcl.results import SlideResult


def test_csv_and_parquet_say_the_same(result: SlideResult, tmp_path: Path) -> None:
    look = look_of(result)
    table = pd.read_csv(write_csv(result, look, tmp_path / "a.csv"))
    other = pd.read_parquet(write_parquet(result, look, tmp_path / "a.parquet"))
    assert list(table.columns) == list(other.columns)
    assert len(table) == len(result.rowcol)
    np.testing.assert_array_equal(table[["y_px", "x_px"]], result.tile_yx)
    np.testing.assert_allclose(table["y_um"], result.tile_yx[:, 0] * 0.5)
    np.testing.assert_array_equal(table["codeword"], result.codeword + 1)
    assert table["codeword_name"].tolist() == [look.names[n] for n in result.codeword]
    assert other["codeword_name"].astype(str).tolist() == table["codeword_name"].tolist()
    np.testing.assert_allclose(other["distance from codeword"], result.residual_norm)


def test_no_column_names_the_slide(result: SlideResult, tmp_path: Path) -> None:
    text = write_csv(result, look_of(result), tmp_path / "a.csv").read_text()
    assert result.slide_id not in text


def test_a_spreadsheet_computes_no_name(result: SlideResult, tmp_path: Path) -> None:
    look = look_of(replace(result, codeword_names=("=1+1", "@SUM(A1)", "-2")))
    table = pd.read_csv(write_csv(result, look, tmp_path / "a.csv"))
    assert set(table["codeword_name"]) == {"'=1+1", "'@SUM(A1)", "-2"}
    other = pd.read_parquet(write_parquet(result, look, tmp_path / "a.parquet"))
    assert set(other["codeword_name"]) == {"=1+1", "@SUM(A1)", "-2"}
