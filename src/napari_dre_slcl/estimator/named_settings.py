"""The settings that the estimator takes as parameters of its own, so that a search can turn them.

Each bears the name of the project's setting without its section.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from napari_dre_slcl.config import DreSlclConfig, load_preset, setting_names, with_overrides
from napari_dre_slcl.errors import ConfigError

__all__ = ["NAMED_SETTINGS", "TASK", "config_of"]

TASK = "label"
NAMED_SETTINGS = {
    "codewords": "codebook.codewords",
    "epochs": "training.epochs",
    "least_steps": "training.least_steps",
    "slides_per_batch": "training.slides_per_batch",
    "fresh_tiles": "training.fresh_tiles",
    "lr_rest": "training.lr_rest",
    "lr_adapter": "features.lr_adapter",
    "adapter_width": "features.adapter_width",
    "dropout": "residual.dropout",
    "contrastive_weight": "loss.contrastive_weight",
    "device": "training.device",
}
"""Parameter of `DreSlclClassifier` -> the setting of DRE-SLCL that it stands for."""

_SECTION = {"attention-mil": "mil", "giga-ssl": "giga_ssl", "slpd": "slpd"}
_OWN_NAME = {"lr_rest": "lr", "adapter_width": "width"}
_SEEDS = 2**31


def config_of(params: Mapping[str, Any], *, has_reports: bool) -> DreSlclConfig:
    """Return the settings that parameters stand for.

    Parameters
    ----------
    params : mapping
        As ``get_params`` gives them. ``settings`` wins over the preset, a parameter of its own
        over both.
    has_reports : bool
        Without reports nothing is contrasted with them.

    Raises
    ------
    ConfigError
        If a name is unknown, a value does not fit, or training is to stop on validation.
    """
    named = {
        _setting(name, params["method"]): params[name]
        for name in NAMED_SETTINGS
        if params[name] is not None
    }
    overrides = {
        "method": params["method"],
        **(params["settings"] or {}),
        **named,
        "cohort.tasks": (TASK,),
        "training.seed": _seed(params["random_state"]),
    }
    if not has_reports:
        overrides["loss.contrastive_weight"] = 0.0
    plain = {name: _plain(value) for name, value in overrides.items()}
    config = with_overrides(load_preset(params["preset"]), plain)
    if config.training.patience:
        raise ConfigError(
            "training.patience stops on validation slides, and the estimator holds none out. Leave "
            "it out, or call 'train' with a cohort table."
        )
    return config


def _setting(name: str, method: Any) -> str:
    """Return the setting that a parameter stands for: the method's own where it has such a one."""
    own = f"{_SECTION.get(method, '')}.{_OWN_NAME.get(name, name)}"
    return own if own in setting_names() else NAMED_SETTINGS[name]


def _seed(random_state: Any) -> int:
    """Return a seed: a number stands for itself, anything else is drawn from."""
    if isinstance(random_state, int | np.integer):
        return int(random_state) % _SEEDS
    return int(check_random_state(random_state).randint(_SEEDS - 1))


def _plain(value: Any) -> Any:
    """Return numpy's numbers, as a search hands them in, as Python's."""
    return value.item() if isinstance(value, np.generic) else value
