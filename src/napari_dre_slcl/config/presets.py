"""Presets, and the two ways to make settings: from a preset, and with some values changed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from napari_dre_slcl.config.all_settings import DreSlclConfig
from napari_dre_slcl.config.section import Section
from napari_dre_slcl.errors import ConfigError

__all__ = ["load_preset", "preset_names", "setting_names", "with_overrides"]

_PRESETS: dict[str, dict[str, Any]] = {
    "default": {
        "features.adapter": "wide",
        "features.adapter_width": 256,
        "codebook.codewords": 8,
        "residual.weighting": "attention",
        "residual.attention_width": 128,
        "residual.global_token": True,
        "residual.global_map": False,
        "residual.layers": 1,
        "residual.heads": 4,
        "residual.ffn_ratio": 1.0,
        "residual.dropout": 0.5,
        "residual.layer_scale": 0.01,
        "loss.contrastive_weight": 0.03,
        "training.epochs": 12,
        "training.least_steps": 400,
        "training.slides_per_batch": 16,
        "training.lr_rest": 2e-4,
    },
    "paper": {"training.rescale_gradient": False},
    "cpu-small": {
        "encoder.name": "test_resnet",
        "encoder.input_px": 128,
        "encoder.channels_last": True,
        "codebook.codewords": 8,
        "codebook.refit_after_epoch": 6,
        "residual.weighting": "attention",
        "residual.global_token": True,
        "residual.layers": 1,
        "residual.heads": 4,
        "loss.contrastive_weight": 0.2,
        "training.epochs": 24,
        "training.slides_per_batch": 8,
        "training.fresh_tiles": 16,
        "training.lr_encoder": 2e-3,
        "training.lr_rest": 5e-4,
        "training.tint": 0.3,
    },
}


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, the default first."""
    return tuple(_PRESETS)


def load_preset(name: str) -> DreSlclConfig:
    """Return the settings of a preset.

    Parameters
    ----------
    name : str
        One of `preset_names`, such as ``cpu-small``.

    Raises
    ------
    ConfigError
        If no preset has this name.

    Examples
    --------
    >>> from napari_dre_slcl import load_preset
    >>> load_preset("cpu-small").encoder.name
    'test_resnet'
    """
    if name not in _PRESETS:
        raise ConfigError(f"There is no preset '{name}'. Choose one of {', '.join(_PRESETS)}.")
    return with_overrides(DreSlclConfig(preset=name), _PRESETS[name])


def setting_names() -> tuple[str, ...]:
    """Return the dotted name of every setting that `with_overrides` takes."""
    return tuple(
        f"{section}.{key}"
        for section, field in DreSlclConfig.model_fields.items()
        if isinstance(field.default, Section)
        for key in type(field.default).model_fields
    )


def with_overrides(config: DreSlclConfig, overrides: Mapping[str, Any]) -> DreSlclConfig:
    """Return ``config`` with some settings changed.

    Parameters
    ----------
    config : DreSlclConfig
        The settings to start from.
    overrides : Mapping[str, Any]
        New values by dotted name, such as ``{"training.epochs": 3}``, and ``method``. Text is
        converted to the setting's type; an empty text or "none" empties an optional setting;
        commas split lists.

    Raises
    ------
    ConfigError
        If a name is unknown or a value does not fit.

    Examples
    --------
    >>> from napari_dre_slcl import load_preset, with_overrides
    >>> config = with_overrides(load_preset("default"), {"training.epochs": 3})
    >>> config.training.epochs, config.codebook.codewords
    (3, 8)
    >>> with_overrides(config, {"training.epoch": 3})
    Traceback (most recent call last):
        ...
    napari_dre_slcl.errors.ConfigError: There is no setting 'training.epoch'. Did you mean ...
    """
    known = setting_names()
    values = config.model_dump()
    for name, value in overrides.items():
        if name == "method":
            values[name] = value
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See 'dre-slcl presets'."
            raise ConfigError(f"There is no setting '{name}'.{hint}")
        section, key = name.split(".")
        values[section][key] = _parse(value, values[section][key])
    return _validated(values)


def _parse(value: Any, present: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ("", "none") and not isinstance(present, str):
        return () if isinstance(present, tuple) else None
    if isinstance(present, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _validated(values: dict[str, Any]) -> DreSlclConfig:
    try:
        return DreSlclConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        given = f" (given: {first['input']!r})" if not isinstance(first["input"], dict) else ""
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"Setting '{where}' is not usable: {reason}{given}.") from error
