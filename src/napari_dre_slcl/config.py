"""Every setting, once: form, file, command line and functions all read these models.

Frozen pydantic models; `load_preset` and `with_overrides` are the only ways to make another.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_dre_slcl.errors import ConfigError

__all__ = [
    "CodebookConfig",
    "CohortConfig",
    "DreSlclConfig",
    "EncoderConfig",
    "LossConfig",
    "ResidualConfig",
    "TextConfig",
    "TilingConfig",
    "TrainingConfig",
    "load_preset",
    "preset_names",
    "setting_names",
    "with_overrides",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TilingConfig(_Section):
    """Where tiles lie on a slide."""

    tile_px: int = Field(256, ge=16, le=2048, title="Tile size", description="Edge in pixels.")
    mpp: float = Field(
        0.5, ge=0.1, le=10, title="Resolution", description="µm per pixel of a tile; 0.5 is 20x."
    )
    min_tissue: float = Field(
        0.5, gt=0, le=1, title="Least tissue", description="Share of a tile that must be tissue."
    )
    tissue_threshold: float | None = Field(
        None,
        ge=1,
        le=255,
        title="Tissue threshold",
        description="Least colour of tissue against the glass, in grey levels; empty finds it.",
    )
    leave_out_pen: bool = Field(
        True, title="Leave out pen", description="Leave out tiles with pen marks."
    )
    leave_out_folds: bool = Field(
        True, title="Leave out folds", description="Leave out tiles where tissue lies double."
    )
    leave_out_blur: bool = Field(
        True, title="Leave out blur", description="Leave out tiles that are out of focus."
    )
    max_upsampling: float = Field(
        1.05,
        ge=1,
        le=4,
        title="Most enlargement",
        description="How much finer tiles may be than the slide; coarser slides are refused.",
    )


class EncoderConfig(_Section):
    """The tile encoder: any timm backbone, trained end to end."""

    name: str = Field(
        "vit_small_patch16_224", title="Tile encoder", description="timm model by name."
    )
    input_px: int = Field(
        256,
        ge=16,
        le=2048,
        title="Input size",
        description="Tiles are shrunk to this edge in pixels.",
    )
    weights: Path | None = Field(
        None,
        title="Weights",
        description="Local .safetensors or .pth file; empty starts at random.",
    )
    trainable_blocks: int = Field(
        -1, ge=-1, title="Trained blocks", description="-1 trains all, 0 freezes all, n the last n."
    )
    mean: tuple[float, float, float] = Field(
        (0.5, 0.5, 0.5), title="Input mean", description="Per channel, of values in 0-1."
    )
    std: tuple[float, float, float] = Field(
        (0.5, 0.5, 0.5), title="Input deviation", description="Per channel, of values in 0-1."
    )


class CodebookConfig(_Section):
    """The fixed k-means codewords."""

    codewords: int = Field(16, ge=2, le=256, title="Codewords", description="K of k-means.")
    tiles_per_slide: int = Field(
        200,
        ge=1,
        title="Tiles per slide",
        description="Drawn from each training slide for k-means.",
    )
    refit_after_epoch: int = Field(
        0,
        ge=0,
        title="Fit again after epoch",
        description="Fits the codewords a second time after this epoch, then fixes them: for "
        "encoders that start at random. 0 never.",
    )


class ResidualConfig(_Section):
    """VLAD residual encoding and the Transformer on top."""

    weighting: Literal["uniform", "attention"] = Field(
        "uniform",
        title="Tile weights",
        description="uniform: plain VLAD. attention: residuals weighted by gated tile attention.",
    )
    normalisation: Literal["l2", "intra", "signed-sqrt"] = Field(
        "l2", title="Normalisation", description="Of the VLAD vector."
    )
    global_token: bool = Field(
        False,
        title="Global token",
        description="Start [CLS] from the slide's mean feature and give codewords their occupancy.",
    )
    layers: int = Field(2, ge=1, le=12, title="Layers", description="Of the slide Transformer.")
    heads: int = Field(6, ge=1, le=32, title="Heads", description="Of the slide Transformer.")
    ffn_ratio: float = Field(4.0, gt=0, title="FFN ratio", description="Hidden width over width.")
    dropout: float = Field(0.0, ge=0, lt=1, title="Dropout", description="In the Transformer.")


class TextConfig(_Section):
    """How report text becomes vectors."""

    encoder: Literal["tfidf-svd"] = Field(
        "tfidf-svd", title="Text encoder", description="Fitted on training reports, offline."
    )
    dim: int = Field(256, ge=2, le=8192, title="Width", description="At most, of a report vector.")


class LossConfig(_Section):
    """What training minimises."""

    contrastive_weight: float = Field(
        1.0, ge=0, title="Report contrast", description="Weight of the slide-report contrast."
    )
    task_weight: float = Field(1.0, ge=0, title="Tasks", description="Weight of the task heads.")
    temperature: float = Field(
        0.07, gt=0, le=10, title="Temperature", description="Start value; it is learned."
    )
    balance_classes: bool = Field(
        True, title="Balance classes", description="Weight classes by their inverse frequency."
    )

    @model_validator(mode="after")
    def _trains_something(self) -> LossConfig:
        if self.contrastive_weight == 0 and self.task_weight == 0:
            raise ValueError("contrastive_weight and task_weight are both 0, nothing is trained")
        return self


class TrainingConfig(_Section):
    """The loop."""

    epochs: int = Field(30, ge=1, le=10_000, title="Epochs", description="Passes over the slides.")
    slides_per_batch: int = Field(
        8, ge=1, le=4096, title="Slides per batch", description="Negatives come from the batch."
    )
    fresh_tiles: int = Field(
        32, ge=1, le=100_000, title="Fresh tiles", description="Per slide and step, with gradient."
    )
    bank_tiles: int | None = Field(
        None, ge=0, title="Bank tiles", description="At most, per slide and step; empty takes all."
    )
    bank_momentum: float = Field(
        0.0, ge=0, lt=1, title="Bank momentum", description="Share of the old feature that is kept."
    )
    refill_every_epochs: int = Field(
        0, ge=0, title="Refill bank", description="Encode every tile anew each n epochs; 0 never."
    )
    rescale_gradient: bool = Field(
        True, title="Rescale gradient", description="Scale fresh residuals' gradient by N/s."
    )
    lr_encoder: float = Field(1e-5, gt=0, le=1, title="Encoder rate", description="Learning rate.")
    lr_rest: float = Field(1e-4, gt=0, le=1, title="Other rate", description="Learning rate.")
    weight_decay: float = Field(0.05, ge=0, le=1, title="Weight decay", description="Of AdamW.")
    warmup_epochs: float = Field(1.0, ge=0, title="Warm-up", description="Epochs of rising rate.")
    clip_norm: float = Field(1.0, gt=0, title="Clipping", description="Gradient norm per group.")
    augment: bool = Field(
        True, title="Augment", description="Flip, turn and tint fresh tiles at random."
    )
    seed: int = Field(
        0, ge=0, lt=2**31, title="Seed", description="Same seed, same run on the CPU."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", title="Device", description="auto takes a GPU where there is one."
    )
    tile_cache_mib: int = Field(
        2048, ge=0, title="Tile cache", description="Memory for decoded tiles in MiB."
    )
    workers: int = Field(2, ge=1, le=64, title="Readers", description="Threads that read tiles.")


class CohortConfig(_Section):
    """Which columns are tasks, and who is held out."""

    tasks: tuple[str, ...] = Field(
        (), title="Tasks", description="Label columns to learn; empty guesses and says so."
    )
    test_fraction: float = Field(
        1 / 3,
        gt=0,
        lt=0.9,
        title="Held out",
        description="Share of patients for the test where the table has no split column.",
    )
    split_seed: int = Field(0, ge=0, lt=2**31, title="Split seed", description="Of that draw.")


class DreSlclConfig(_Section):
    """All settings of a training run."""

    method: Literal["dre-slcl"] = "dre-slcl"
    preset: str = "default"
    cohort: CohortConfig = CohortConfig()
    tiling: TilingConfig = TilingConfig()
    encoder: EncoderConfig = EncoderConfig()
    codebook: CodebookConfig = CodebookConfig()
    residual: ResidualConfig = ResidualConfig()
    text: TextConfig = TextConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()


_PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "cpu-small": {
        "encoder.name": "test_efficientnet_gn",
        "encoder.input_px": 128,
        "codebook.codewords": 8,
        "codebook.refit_after_epoch": 6,
        "residual.weighting": "attention",
        "residual.global_token": True,
        "residual.layers": 1,
        "residual.heads": 4,
        "loss.contrastive_weight": 0.2,
        "training.epochs": 36,
        "training.slides_per_batch": 5,
        "training.bank_tiles": 16,
        "training.refill_every_epochs": 3,
        "training.lr_encoder": 6e-4,
        "training.lr_rest": 3e-4,
    },
}


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, the default first."""
    return tuple(_PRESETS)


def load_preset(name: str) -> DreSlclConfig:
    """Return the settings of a preset.

    Raises
    ------
    ConfigError
        If no preset has this name.
    """
    if name not in _PRESETS:
        raise ConfigError(f"There is no preset '{name}'. Choose one of {', '.join(_PRESETS)}.")
    return with_overrides(DreSlclConfig(preset=name), _PRESETS[name])


def setting_names() -> tuple[str, ...]:
    """Return the dotted name of every setting that `with_overrides` takes."""
    return tuple(
        f"{section}.{key}"
        for section, field in DreSlclConfig.model_fields.items()
        if isinstance(field.default, _Section)
        for key in type(field.default).model_fields
    )


def with_overrides(config: DreSlclConfig, overrides: Mapping[str, Any]) -> DreSlclConfig:
    """Return ``config`` with some settings changed.

    Parameters
    ----------
    config : DreSlclConfig
        The settings to start from.
    overrides : Mapping[str, Any]
        New values by dotted name, such as ``{"training.epochs": 3}``. Text is converted to the
        setting's type; an empty text or "none" empties an optional setting; commas split lists.

    Raises
    ------
    ConfigError
        If a name is unknown or a value does not fit.
    """
    known = setting_names()
    values = config.model_dump()
    for name, value in overrides.items():
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
    if text.lower() in ("", "none"):
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
        raise ConfigError(f"Setting '{where}' is not usable: {first['msg']}{given}.") from error
