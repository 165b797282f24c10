"""The kinds of files that a stranger may hand us, and how each is read by what is public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["HEAVY", "KINDS", "SECRET"]

SECRET = b"content of a file elsewhere"
"""Stands beside the folders of hostile files; nothing that is read may have it."""


def _result(path: Path) -> None:
    from napari_dre_slcl.results import load_report_space, load_result

    result = load_result(path)
    result.raster(result.attention, np.nan)
    load_report_space(path)


def _features(path: Path) -> None:
    from napari_dre_slcl.cohort.feature_store import (
        open_features,
        read_coords,
        read_features,
        read_rows,
    )

    file = open_features(path)
    read_coords(file)
    read_rows(file, np.array([0, file.n_tiles - 1]))
    stored = read_features(path)
    assert SECRET not in stored.features.tobytes()


def _feature_index(folder: Path) -> None:
    from napari_dre_slcl.cohort.feature_index import read_index, update_index

    for row in read_index(folder).values():
        assert row.file.path.parent == folder
    update_index(folder)


def _vectors(path: Path) -> None:
    from napari_dre_slcl.cohort.ready_vectors import read_ready_vectors

    read_ready_vectors(path, ["a", "b"])


def _vector_cache(folder: Path) -> None:
    from napari_dre_slcl.cohort.vector_cache import VectorCache

    cache = VectorCache(folder, "model", "settings")
    cache.get("text")
    cache.add(["text"], np.ones((1, 3), np.float32))


def _report_model(folder: Path) -> None:
    from napari_dre_slcl.cohort.report_model import load_report_model
    from napari_dre_slcl.errors import JobError
    from napari_dre_slcl.insight.codeword_names import read_header

    try:
        load_report_model(folder, read_header(folder)).place("adenocarcinoma in the lung")
    except JobError:
        return


def _table(path: Path) -> None:
    from napari_dre_slcl.cohort import read_cohort
    from napari_dre_slcl.engine.predict import result_path

    cohort = read_cohort(path, needs_slides=False)
    for row in cohort.rows:
        assert result_path(path.parent, row.slide_id).parent == path.parent


def _splits(path: Path) -> None:
    from napari_dre_slcl.cohort.split_table import read_splits

    read_splits(path)


def _tcga(path: Path) -> None:
    from napari_dre_slcl.cohort.problems import Findings
    from napari_dre_slcl.cohort.read_table import read_table

    read_table(path, Findings())


def _index(folder: Path) -> None:
    from napari_dre_slcl.insight.search import nearest_tiles
    from napari_dre_slcl.insight.tile_index import TileIndex

    index = TileIndex.open(folder)
    _ = index.codeword_counts, index.codeword_nearest, index.attention_counts
    if len(index):
        nearest_tiles(index, np.asarray(index.features[0]), 3)
        index.hit(len(index) - 1, 0.0)


def _codes(folder: Path) -> None:
    from napari_dre_slcl.insight.fit_codes import is_fitted
    from napari_dre_slcl.insight.hits import LeftOut
    from napari_dre_slcl.insight.index_header import CodesFacts
    from napari_dre_slcl.insight.tile_codes import TileCodes, prove_codes

    is_fitted(folder)  # as who makes the index again asks
    files = sorted(folder.glob("*.ivf"))
    sizes = tuple(path.stat().st_size for path in files)
    facts = CodesFacts(folder.name, tuple(path.name for path in files), sizes, 600, 4, 1.0, 20)
    prove_codes(folder)
    codes = TileCodes(folder, facts, np.arange(len(files)) * 400, 10**6)
    codes.candidates(np.ones(8, np.float32), 12, LeftOut())


def _names(folder: Path) -> None:
    from napari_dre_slcl.insight.codeword_names import read_names
    from napari_dre_slcl.insight.phrases import read_phrases

    read_names(folder)
    read_phrases(folder)


def _job(path: Path) -> None:
    from napari_dre_slcl.jobs.messages import parse_job

    parse_job(path)


def _run_list(folder: Path) -> None:
    from napari_dre_slcl.jobs.run_summary import state_text, summarise_run

    state_text(summarise_run(folder))


def _mask(path: Path) -> None:
    from napari_dre_slcl.tiles.mask import load_tissue_mask

    _ = load_tissue_mask(path).tissue


def _zarr(folder: Path) -> None:
    from napari_dre_slcl.export.read_ome_zarr import is_our_ome_zarr, read_ome_zarr

    if is_our_ome_zarr(folder):
        read_ome_zarr(folder)


def _bundle(folder: Path) -> None:
    from napari_dre_slcl.model.bundle import load_bundle

    _ = load_bundle(folder).codeword_names


def _weights(path: Path) -> None:
    from torch import nn

    from napari_dre_slcl.model.encoder_weights import load_weights

    load_weights(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), path)


def _run(folder: Path) -> None:
    from napari_dre_slcl.engine.checkpoint import read_state
    from napari_dre_slcl.engine.checkpoint_files import latest_checkpoint, read_tensors
    from napari_dre_slcl.engine.run_folder import environment, read_run_dir

    environment(folder)
    read_run_dir(folder)
    read_state(folder)
    newest = latest_checkpoint(folder / "checkpoints")
    if newest is not None:
        read_tensors(newest / "model.safetensors")


def _bank(folder: Path) -> None:
    import torch

    from napari_dre_slcl.model.bank_files import BankFiles
    from napari_dre_slcl.model.bank_shape import BankShape

    files = BankFiles(folder, BankShape((3, 2), 4, 2, torch.float32, range(2)), memory_mib=1)
    for number in files.kept():
        files.read(number)


def _text_model(folder: Path) -> None:
    from napari_dre_slcl.model.text_files import find_text_model, model_identity

    files = find_text_model(str(folder))
    assert files.folder.resolve().is_relative_to(folder.resolve())
    files.n_parameters()
    model_identity(files)


KINDS: Mapping[str, Callable[[Path], Any]] = {
    "result": _result,
    "features": _features,
    "feature index": _feature_index,
    "report vectors npz": _vectors,
    "report vectors h5": _vectors,
    "vector cache": _vector_cache,
    "report model": _report_model,
    "cohort csv": _table,
    "cohort xlsx": _table,
    "cohort parquet": _table,
    "split file": _splits,
    "tcga table": _tcga,
    "search index": _index,
    "codes of tiles": _codes,
    "codeword names": _names,
    "job": _job,
    "run list": _run_list,
    "tissue mask": _mask,
    "OME-Zarr": _zarr,
    "model folder": _bundle,
    "weights pth": _weights,
    "weights safetensors": _weights,
    "run folder": _run,
    "memory bank": _bank,
    "language model": _text_model,
}
HEAVY = frozenset(
    {"model folder", "search index", "codes of tiles", "OME-Zarr", "cohort xlsx", "weights pth"}
)
"""Of these, fewer are tried: each takes hundredths of a second."""
