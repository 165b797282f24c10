"""How a trained model cuts slides into tiles, read from its folder without loading it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.untrusted import read_json

__all__ = ["model_tiling"]


def model_tiling(model: Path | None) -> TilingConfig:
    """Return the tiling of a model; where there is none, that of the default settings.

    Parameters
    ----------
    model : Path or None
        Model folder, or a run folder that holds one.
    """
    for folder in () if model is None else (model / "model", model):
        try:
            header = read_json(folder / "model.json")
            return TilingConfig.model_validate(header["config"]["tiling"])
        except (OSError, ValueError, TypeError, KeyError, ValidationError):
            continue  # a prediction tells what is wrong with a model
    return TilingConfig()
