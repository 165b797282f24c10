"""Where this package keeps what belongs to the user and to no slide, cohort or run."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["CONFIG_DIR_VARIABLE", "user_folder"]

CONFIG_DIR_VARIABLE = "DRE_SLCL_CONFIG_DIR"
"""Environment variable that names another folder."""


def user_folder() -> Path:
    """Return the user's own folder of this package; it need not exist."""
    given = os.environ.get(CONFIG_DIR_VARIABLE)
    return Path(given or platformdirs.user_config_dir("napari-dre-slcl", appauthor=False))
