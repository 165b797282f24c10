"""What the user has set on this plugin's page of napari's preferences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings

__all__ = [
    "export_folder",
    "picture_mpp",
    "preferred_device",
    "results_folder",
    "should_pseudonymize",
]

_PLUGIN = "napari-dre-slcl"


def preferred_device() -> str:
    """Return what predictions and questions compute on: auto, cpu, cuda or mps."""
    return str(_preference("work", "device", "auto"))


def results_folder() -> Path | None:
    """Return where results of predictions go; None for beside the model."""
    return _folder(_preference("work", "results_folder", ""))


def should_pseudonymize() -> bool:
    """Return whether keyed hashes go in the place of slides' and patients' names."""
    return bool(_preference("work", "pseudonymize", False))


def export_folder() -> Path | None:
    """Return where exports go unless another folder is chosen; None where none is set."""
    return _folder(_preference("export", "folder", ""))


def picture_mpp() -> float:
    """Return the µm per pixel of exported pictures unless another value is chosen."""
    return float(_preference("export", "picture_mpp", 4.0))


def _folder(value: Any) -> Path | None:
    text = str(value or "").strip()
    return Path(text).expanduser() if text else None


def _preference(section: str, name: str, default: Any) -> Any:
    """Return a preference; the default where napari does not know this plugin, as in a script."""
    try:
        return getattr(getattr(get_plugin_settings(_PLUGIN), section), name)
    except (KeyError, AttributeError):
        return default
