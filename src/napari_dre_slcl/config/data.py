"""Settings of what goes in: the cohort, tiles, feature files and report text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from napari_dre_slcl.config.section import Section

__all__ = ["CohortConfig", "FeaturesConfig", "TextConfig", "TilingConfig"]


class CohortConfig(Section):
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
    val_fraction: float = Field(
        0.0,
        ge=0,
        lt=0.9,
        title="Validation",
        description="Share of the training patients that validate each epoch, where the table has "
        "no split column.",
    )
    split_seed: int = Field(0, ge=0, lt=2**31, title="Split seed", description="Of that draw.")
    most_broken: float = Field(
        0.1,
        ge=0,
        le=1,
        title="Most left out",
        description="Share of the slides that may be left out because they cannot be opened or "
        "hold no tissue; 0 refuses the first.",
    )


class TilingConfig(Section):
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


class FeaturesConfig(Section):
    """Tile features that exist already, as TRIDENT and CLAM write them."""

    folder: Path | None = Field(
        None,
        title="Feature files",
        description="Folder of HDF5 files named after the slides: trains on them, not on pixels.",
    )
    adapter: Literal["none", "linear", "mlp", "wide"] = Field(
        "mlp",
        title="Adapter",
        description="The trainable part on top of feature files. linear and mlp start as the "
        "identity. wide: standardise, one ReLU layer of adapter_width, dropout.",
    )
    adapter_width: int = Field(
        128,
        ge=1,
        le=8192,
        title="Adapter width",
        description="Hidden width of the mlp adapter, width of what the wide one gives.",
    )
    adapter_dropout: float = Field(
        0.5, ge=0, lt=1, title="Adapter dropout", description="Of the wide adapter's output."
    )
    lr_adapter: float = Field(
        5e-4,
        gt=0,
        le=1,
        title="Adapter rate",
        description="Learning rate of the adapter, in the place of training.lr_encoder.",
    )
    fill_from: Path | None = Field(
        None,
        title="Fill bank from",
        description="Folder of feature files that spare the first fill of the bank where encoder, "
        "weights, resolution and grid agree.",
    )


class TextConfig(Section):
    """How report text becomes vectors."""

    encoder: Literal["tfidf-svd", "huggingface", "llama", "vectors"] = Field(
        "tfidf-svd",
        title="Text encoder",
        description="tfidf-svd is fitted on training reports, offline. huggingface and llama take "
        "text.model. vectors takes text.vectors.",
    )
    model: str | None = Field(
        None,
        title="Language model",
        description="Local folder, or a Hugging Face name for those who are online.",
    )
    vectors: Path | None = Field(
        None,
        title="Report vectors",
        description="File of ready vectors (.npz or .h5), one for each slide_id.",
    )
    dim: int = Field(
        256, ge=2, le=8192, title="Width", description="At most, of a TF-IDF and SVD vector."
    )
    chunk_tokens: int | None = Field(
        None,
        ge=16,
        le=131_072,
        title="Chunk",
        description="Tokens read at a time; longer reports are averaged over chunks. Empty takes "
        "what the model was made for.",
    )
    remove_diagnosis: bool = Field(
        False,
        title="Leave out diagnosis",
        description="Drop the sentences that name the diagnosis, so that contrast cannot feed on "
        "the label.",
    )
    cache: Path | None = Field(
        None,
        title="Cache",
        description="Folder for report vectors; empty takes the user's cache folder.",
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> TextConfig:
        if self.encoder in ("huggingface", "llama") and not self.model:
            raise ValueError(f"text.encoder={self.encoder} needs text.model, a folder or a name")
        if self.encoder == "vectors" and self.vectors is None:
            raise ValueError("text.encoder=vectors needs text.vectors, a file")
        return self
