"""Settings of the network: tile encoder, codewords, residual encoding."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from napari_dre_slcl.config.section import Section

__all__ = ["CodebookConfig", "EncoderConfig", "ResidualConfig"]

_Deviation = Annotated[float, Field(gt=0)]


class EncoderConfig(Section):
    """The tile encoder: any timm backbone, trained end to end."""

    name: str = Field(
        "vit_small_patch16_224",
        title="Tile encoder",
        description="timm model by name, or hf-hub:NAME for those who are online.",
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
    weights_sha256: str = Field(
        "",
        title="Weights' hash",
        description="SHA-256 that the weights file must have; empty does not check.",
    )
    trainable_blocks: int = Field(
        -1, ge=-1, title="Trained blocks", description="-1 trains all, 0 freezes all, n the last n."
    )
    mean: tuple[float, float, float] = Field(
        (0.5, 0.5, 0.5), title="Input mean", description="Per channel, of values in 0-1."
    )
    std: tuple[_Deviation, _Deviation, _Deviation] = Field(
        (0.5, 0.5, 0.5), title="Input deviation", description="Per channel, of values in 0-1."
    )
    checkpointing: bool = Field(
        False,
        title="Gradient checkpointing",
        description="Computes inner values twice instead of keeping them: slower, less memory.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        title="Precision",
        description="Of the tile encoder. auto: bf16 on a GPU that has it, fp32 elsewhere.",
    )
    channels_last: bool = Field(
        False, title="Channels last", description="Memory layout that convolutions may like."
    )
    compile: bool = Field(
        False, title="Compile", description="torch.compile: a slow start, then faster steps."
    )

    @field_validator("weights_sha256")
    @classmethod
    def _is_hash(cls, value: str) -> str:
        if not re.fullmatch("([0-9a-fA-F]{64})?", value):
            raise ValueError("a SHA-256 has 64 digits of 0-9 and a-f")
        return value


class CodebookConfig(Section):
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


class ResidualConfig(Section):
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
    global_map: bool = Field(
        True,
        title="Map global token",
        description="Pass the mean feature through a learned linear map on its way to [CLS].",
    )
    attention_width: int | None = Field(
        None,
        ge=1,
        le=8192,
        title="Attention width",
        description="Hidden width of the tile attention; empty takes the feature's.",
    )
    layer_scale: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Layer scale",
        description="Start value of a learned factor on what each Transformer layer adds; small "
        "ones let the codewords in late. Empty: none.",
    )
    tokens: Literal["sum", "mean"] = Field(
        "sum",
        title="Tokens",
        description="sum: residuals added up per codeword. mean: divided by the codeword's weight.",
    )
    mass_bias: bool = Field(
        False,
        title="Occupancy bias",
        description="Adds log(n_k/N) to the attention on codeword k.",
    )
    pooling: Literal["cls", "mass"] = Field(
        "cls",
        title="Pooling",
        description="cls: the slide vector is the [CLS] token. mass: codeword tokens, weighted "
        "by n_k/N, are added to it.",
    )
    layers: int = Field(2, ge=1, le=12, title="Layers", description="Of the slide Transformer.")
    heads: int = Field(6, ge=1, le=32, title="Heads", description="Of the slide Transformer.")
    ffn_ratio: float = Field(4.0, gt=0, title="FFN ratio", description="Hidden width over width.")
    dropout: float = Field(0.0, ge=0, lt=1, title="Dropout", description="In the Transformer.")
