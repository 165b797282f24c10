"""Train whole-slide image models from slide labels and pathology reports, inside napari."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine_extra import engine_needed

if TYPE_CHECKING:
    from napari_dre_slcl.calls import (
        embed_slides,
        evaluate,
        predict_slides,
        resume,
        run_job,
        search_index,
        train,
    )
    from napari_dre_slcl.cohort import read_cohort
    from napari_dre_slcl.cohort.feature_store import read_features
    from napari_dre_slcl.cohort.synthetic import generate_cohort
    from napari_dre_slcl.config import load_preset, with_overrides
    from napari_dre_slcl.engine.predict import predict
    from napari_dre_slcl.errors import DreSlclError
    from napari_dre_slcl.estimator import DreSlclClassifier
    from napari_dre_slcl.export.export_slide import ExportRequest, export_result
    from napari_dre_slcl.insight.search import nearest_slides, nearest_tiles
    from napari_dre_slcl.insight.tile_index import TileIndex
    from napari_dre_slcl.model.bundle import load_bundle
    from napari_dre_slcl.results import load_result, save_result
    from napari_dre_slcl.slide import open_slide
    from napari_dre_slcl.tiles import tile_slide

_HOME = {
    "DreSlclClassifier": "napari_dre_slcl.estimator",
    "DreSlclError": "napari_dre_slcl.errors",
    "ExportRequest": "napari_dre_slcl.export.export_slide",
    "TileIndex": "napari_dre_slcl.insight.tile_index",
    "embed_slides": "napari_dre_slcl.calls",
    "evaluate": "napari_dre_slcl.calls",
    "export_result": "napari_dre_slcl.export.export_slide",
    "generate_cohort": "napari_dre_slcl.cohort.synthetic",
    "load_bundle": "napari_dre_slcl.model.bundle",
    "load_preset": "napari_dre_slcl.config",
    "load_result": "napari_dre_slcl.results",
    "nearest_slides": "napari_dre_slcl.insight.search",
    "nearest_tiles": "napari_dre_slcl.insight.search",
    "open_slide": "napari_dre_slcl.slide",
    "predict": "napari_dre_slcl.engine.predict",
    "predict_slides": "napari_dre_slcl.calls",
    "read_cohort": "napari_dre_slcl.cohort",
    "read_features": "napari_dre_slcl.cohort.feature_store",
    "resume": "napari_dre_slcl.calls",
    "run_job": "napari_dre_slcl.calls",
    "save_result": "napari_dre_slcl.results",
    "search_index": "napari_dre_slcl.calls",
    "tile_slide": "napari_dre_slcl.tiles",
    "train": "napari_dre_slcl.calls",
    "with_overrides": "napari_dre_slcl.config",
}

__all__ = [
    "DreSlclClassifier",
    "DreSlclError",
    "ExportRequest",
    "TileIndex",
    "__version__",
    "embed_slides",
    "evaluate",
    "export_result",
    "generate_cohort",
    "load_bundle",
    "load_preset",
    "load_result",
    "nearest_slides",
    "nearest_tiles",
    "open_slide",
    "predict",
    "predict_slides",
    "read_cohort",
    "read_features",
    "resume",
    "run_job",
    "save_result",
    "search_index",
    "tile_slide",
    "train",
    "with_overrides",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        with engine_needed():
            return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
