"""Train whole-slide image models from slide labels and pathology reports, inside napari."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine_extra import engine_needed

if TYPE_CHECKING:
    from napari_dre_slcl.config import load_preset
    from napari_dre_slcl.engine.predict import predict
    from napari_dre_slcl.estimator import DreSlclClassifier
    from napari_dre_slcl.results import load_result
    from napari_dre_slcl.slide import open_slide
    from napari_dre_slcl.tiles import tile_slide

_HOME = {
    "DreSlclClassifier": "napari_dre_slcl.estimator",
    "load_preset": "napari_dre_slcl.config",
    "load_result": "napari_dre_slcl.results",
    "predict": "napari_dre_slcl.engine.predict",
    "open_slide": "napari_dre_slcl.slide",
    "tile_slide": "napari_dre_slcl.tiles",
}

__all__ = [
    "DreSlclClassifier",
    "__version__",
    "load_preset",
    "load_result",
    "open_slide",
    "predict",
    "tile_slide",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        with engine_needed():
            return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
