"""One honest file of each kind, small, as this program and its users write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["make_honest", "make_result"]

_ROWS = (
    ("slide_id", "patient_id", "subtype", "report", "mpp", "split"),
    ("a", "P1", "LUAD", "Adenocarcinoma, acinar.", "0.5", "train"),
    ("b", "P2", "LUSC", "Squamous cell carcinoma with keratin.", "0.25", "val"),
    ("c", "P3", "LUAD", "Adenocarcinoma, papillary, necrosis.", "0.5", "test"),
)


def make_honest(folder: Path) -> dict[str, Path]:
    """Write one of each kind.

    Parameters
    ----------
    folder : Path
        Where to; each gets a folder of its own.

    Returns
    -------
    dict of Path
        File or folder by the kind's name, as `kinds.KINDS` names them.
    """
    made: dict[str, Path] = {}
    for kind, make in _MAKERS.items():
        place = folder / kind.replace(" ", "-")
        place.mkdir(parents=True)
        made[kind] = make(place)
    return made


def make_result(folder: Path) -> Path:
    """Write a result file of six tiles."""
    from napari_dre_slcl.results import SlideResult, TaskPrediction, save_result

    rng = np.random.default_rng(0)
    n_tiles = 6
    result = SlideResult(
        slide_id="a",
        slide_path="a.svs",
        slide_shape=(1024, 1536),
        mpp=0.5,
        mpp_source="vendor property",
        tile_size_px=256,
        grid_shape=(4, 6),
        rowcol=np.stack(np.divmod(np.arange(n_tiles), 3), axis=1),
        codeword=rng.integers(0, 2, n_tiles),
        attention=rng.random(n_tiles).astype(np.float32),
        residual_norm=rng.random(n_tiles).astype(np.float32),
        n_codewords=2,
        codeword_attention=np.array([0.4, 0.6], np.float32),
        slide_vector=rng.random(4).astype(np.float32),
        predictions=(TaskPrediction("cancer", ("normal", "cancer"), (0.1, 0.9), "cancer"),),
        provenance={"method": "dre-slcl"},
        features=rng.random((n_tiles, 4)).astype(np.float32),
        features_key="key",
        report_space=rng.random((n_tiles, 3)).astype(np.float16),
        evidence=rng.random((n_tiles, 1)).astype(np.float32),
        evidence_of=(("cancer", "cancer"),),
        codeword_names=("tumour", "stroma"),
    )
    return save_result(result, folder / "a.dreslcl.npz")


def _features(folder: Path) -> Path:
    import h5py

    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.arange(24, dtype=np.float32).reshape(6, 4)
        file.create_dataset("coords", data=np.arange(12).reshape(6, 2), compression="gzip")
        file["coords"].attrs["patch_size_level0"] = 256
        file.attrs["encoder"] = "uni"
    return path


def _feature_index(folder: Path) -> Path:
    from napari_dre_slcl.cohort.feature_index import update_index

    _features(folder)
    update_index(folder)
    return folder


def _vectors_npz(folder: Path) -> Path:
    path = folder / "v.npz"
    np.savez(path, slide_id=np.array(["a", "b"]), vectors=np.eye(2, 3, dtype=np.float32))
    return path


def _vectors_h5(folder: Path) -> Path:
    import h5py

    with h5py.File(folder / "v.h5", "w") as file:
        file["slide_id"] = ["a", "b"]
        file["vectors"] = np.eye(2, 3, dtype=np.float32)
    return folder / "v.h5"


def _vector_cache(folder: Path) -> Path:
    from napari_dre_slcl.cohort.vector_cache import VectorCache

    cache = VectorCache(folder, "model", "settings")
    cache.add(["text", "more"], np.eye(2, 3, dtype=np.float32))
    assert not cache.save()
    return folder


def _report_model(folder: Path) -> Path:
    from napari_dre_slcl.cohort.report_model import ReportModel, save_report_model
    from napari_dre_slcl.cohort.reports import fit_report_encoder

    encoder = fit_report_encoder([row[3] for row in _ROWS[1:]], 4, seed=0)
    hashes = save_report_model(ReportModel(encoder, ("LUAD",)), folder)
    (folder / "model.json").write_text(json.dumps({"text_sha256": hashes}))
    return folder


def _csv(folder: Path) -> Path:
    path = folder / "cohort.csv"
    path.write_text("".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in _ROWS))
    return path


def _xlsx(folder: Path) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    for row in _ROWS:
        book.active.append(row)
    book.save(folder / "cohort.xlsx")
    return folder / "cohort.xlsx"


def _parquet(folder: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    columns = zip(*_ROWS, strict=True)
    table = pa.table({head: list(cells) for head, *cells in columns})
    parquet.write_table(table, folder / "cohort.parquet")
    return folder / "cohort.parquet"


def _splits(folder: Path) -> Path:
    path = folder / "split_0.csv"
    path.write_text("slide_id,role\na,train\nb,val\nc,test\n")
    return path


def _index(folder: Path) -> Path:
    from napari_dre_slcl.insight.fit_codes import CodeSizes
    from napari_dre_slcl.insight.hits import IndexedSlide
    from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
    from napari_dre_slcl.insight.write_index import IndexOptions, write_index

    rng = np.random.default_rng(0)

    def source(name: str, n_tiles: int) -> IndexSource:
        part = IndexPart(
            np.stack(np.divmod(np.arange(n_tiles), 10), axis=1).astype(np.int32),
            rng.integers(0, 3, n_tiles).astype(np.int32),
            rng.random(n_tiles).astype(np.float32),
            rng.random(n_tiles).astype(np.float32),
            rng.standard_normal(5).astype(np.float32),
            rng.standard_normal((n_tiles, 8)).astype(np.float32),
        )
        result = folder / "results" / f"{name}.dreslcl.npz"
        slide = IndexedSlide(
            name, f"P-{name}", f"{name}.svs", result, n_tiles, 0, 0.5, 512, (9999, 8888)
        )
        return IndexSource(slide, name, lambda: part)

    facts = IndexFacts("model", "hash", "dre-slcl", 3, 8)
    codes = CodeSizes(n_questions=20, numbers_per_byte=1)
    options = IndexOptions(shard_tiles=300, most_exact=100, codes=codes)
    write_index(folder, facts, [source(name, 200) for name in "abc"], options)
    return folder


def _codes(folder: Path) -> Path:
    (codes,) = (_index(folder) / "codes").iterdir()
    return codes


def _names(folder: Path) -> Path:
    header = {"format": 2, "codewords": ["tumour", "stroma"], "config": {"method": "dre-slcl"}}
    (folder / "model.json").write_text(json.dumps(header))
    (folder / "phrases.json").write_text(json.dumps({"phrases": ["keratin", "necrosis"]}))
    return folder


def _job(folder: Path) -> Path:
    from napari_dre_slcl.jobs.messages import TrainJob

    job = TrainJob(cohort=Path("cohort.csv"), run_dir=folder, overrides={"training.epochs": 2})
    (folder / "job.json").write_text(job.model_dump_json())
    return folder / "job.json"


def _run_list(folder: Path) -> Path:
    from napari_dre_slcl.jobs.messages import Metric, Progress, event_line

    _job(folder)
    facts = {"state": "finished", "started": "2026-01-01T10:00:00+00:00", "message": "Done."}
    (folder / "status.json").write_text(json.dumps(facts))
    (folder / "metrics.json").write_text(json.dumps({"test/auc/cancer": 0.9}))
    events = [Progress(stage="Training", done=1, total=2), Metric(step=1, values={"loss": 0.5})]
    (folder / "events.jsonl").write_text("".join(f"{event_line(event)}\n" for event in events))
    return folder


def _mask(folder: Path) -> Path:
    from napari_dre_slcl.tiles.mask import TissueMask

    labels = np.zeros((8, 12), np.uint8)
    labels[2:5, 3:9] = 1
    return TissueMask(labels, 128.0, (1024, 1536)).save(folder / "mask.png")


def _zarr(folder: Path) -> Path:
    from napari_dre_slcl.export.look import look_of
    from napari_dre_slcl.export.ome_zarr import write_ome_zarr
    from napari_dre_slcl.results import load_result

    result = load_result(make_result(folder))
    return write_ome_zarr(result, look_of(result), folder / "a.ome.zarr")


def _bundle(folder: Path) -> Path:
    import torch

    from napari_dre_slcl.cohort import Task
    from napari_dre_slcl.config import load_preset, with_overrides
    from napari_dre_slcl.model.bundle import Bundle, save_bundle
    from napari_dre_slcl.model.network import DreSlclNet

    settings = {"encoder.name": "test_vit", "encoder.input_px": 32}
    config = with_overrides(load_preset("cpu-small"), settings)
    torch.manual_seed(0)
    task = Task("cancer", ("normal", "cancer"), "cancer")
    bundle = Bundle(DreSlclNet(config, [2], 5), config, (task,), 5)
    return save_bundle(bundle, folder / "model", {})


def _pth(folder: Path) -> Path:
    import torch
    from torch import nn

    state = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict()
    torch.save({"state_dict": state, "epoch": 3}, folder / "w.pth")
    return folder / "w.pth"


def _safetensors(folder: Path) -> Path:
    from safetensors.torch import save_file
    from torch import nn

    save_file(
        nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict(), folder / "w.safetensors"
    )
    return folder / "w.safetensors"


def _run(folder: Path) -> Path:
    import tomli_w
    import torch

    from napari_dre_slcl.config import load_preset
    from napari_dre_slcl.engine.checkpoint_files import CheckpointWriter
    from napari_dre_slcl.engine.run_state import RunState

    _job(folder)
    settings = load_preset("cpu-small").model_dump(mode="json", exclude_none=True)
    (folder / "config.toml").write_text(tomli_w.dumps(settings))
    (folder / "env.json").write_text(json.dumps({"torch": torch.__version__}))
    writer = CheckpointWriter(folder / "checkpoints", 1)
    writer.begin()
    writer.write({"model": {"weight": torch.ones(3, 2)}})
    state = RunState(version="0", serial=1, phase="train")
    writer.finish("step-00000001", state.model_dump_json())
    for path in (folder / "checkpoints").rglob("*.sha256"):  # a stranger would write the right one
        path.unlink()
    return folder


def _bank(folder: Path) -> Path:
    import torch

    from napari_dre_slcl.model.bank_files import BankFiles
    from napari_dre_slcl.model.bank_shape import BankShape

    files = BankFiles(folder, BankShape((3, 2), 4, 2, torch.float32, range(2)), memory_mib=1)
    files.begin("tag", 1)
    files.keep(1)
    return folder


def _text_model(folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "dtype": "float32"}))
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (_safetensors(folder)).rename(folder / "model.safetensors")
    return folder


_MAKERS: Mapping[str, Callable[[Path], Path]] = {
    "result": make_result,
    "features": _features,
    "feature index": _feature_index,
    "report vectors npz": _vectors_npz,
    "report vectors h5": _vectors_h5,
    "vector cache": _vector_cache,
    "report model": _report_model,
    "cohort csv": _csv,
    "cohort xlsx": _xlsx,
    "cohort parquet": _parquet,
    "split file": _splits,
    "tcga table": _csv,
    "search index": _index,
    "codes of tiles": _codes,
    "codeword names": _names,
    "job": _job,
    "run list": _run_list,
    "tissue mask": _mask,
    "OME-Zarr": _zarr,
    "model folder": _bundle,
    "weights pth": _pth,
    "weights safetensors": _safetensors,
    "run folder": _run,
    "memory bank": _bank,
    "language model": _text_model,
}
