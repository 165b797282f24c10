"""What the wire says of work that is handed out: where it is done, and what each worker does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dre_slcl.plain_text import visible

__all__ = ["ClusterChoice", "EmbedJob", "PrivateJob", "Words", "WorkerRow", "Workers"]

Words = Annotated[str, AfterValidator(visible)]
"""Text that is only shown: of names in it, nothing acts on a terminal, a log or a window."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClusterChoice(_Message):
    """Who does the work: a Dask scheduler that runs already, or workers on this machine."""

    scheduler: str | None = Field(None, description="Address, such as tcp://10.0.0.1:8786.")
    scheduler_file: Path | None = Field(
        None, description="File that 'dask scheduler --scheduler-file' has written."
    )
    workers: int | None = Field(
        None, ge=1, description="Processes to start on this machine, in the place of a scheduler."
    )
    wait_s: float = Field(60.0, gt=0, description="Seconds to wait for the first worker.")
    retries: int = Field(
        2, ge=0, description="Further workers that try a slide which one could not do."
    )


class PrivateJob(_Message):
    """What can be done without telling whose slides they are."""

    pseudonymize: bool = Field(
        False, description="Put keyed hashes in the place of slides' and patients' names."
    )
    pseudonym_key: Path | None = Field(
        None, description="File of their key; by default in the user's own folder."
    )


class EmbedJob(PrivateJob):
    """Write the tile features of many slides, one file for each."""

    kind: Literal["embed"] = "embed"
    out: Path = Field(description="Folder for the feature files.")
    cohort: Path | None = Field(None, description="Cohort table; or name a folder of slides.")
    slides: Path | None = Field(None, description="Folder of slides, searched with those in it.")
    model: Path | None = Field(
        None, description="Model or run folder whose tile encoder is used; else that of settings."
    )
    preset: str = Field("default", description="Name of the preset that the settings start from.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by dotted name, such as 'encoder.name'."
    )
    mpp: float | None = Field(
        None, description="Pixel size in µm, 0.1 to 10; wins over what table and slides state."
    )
    device: str = Field("auto", description="auto, cpu, cuda or mps; of each process.")
    part_tiles: int = Field(
        20_000, ge=1, description="Slides of more tiles are done in parts of so many."
    )
    cluster: ClusterChoice | None = Field(None, description="Who does it; empty: this process.")


class WorkerRow(_Message):
    """One worker of a cluster."""

    name: Words
    host: Words
    doing: tuple[Words, ...] = Field(description="Slides in work.")
    memory_mib: int
    done: int = Field(description="Slides that it has finished.")


class Workers(_Message):
    """What the workers of a cluster do just now."""

    event: Literal["workers"] = "workers"
    rows: tuple[WorkerRow, ...]
    done: int
    running: int
    waiting: int
    failed: int
    tiles_per_s: float = Field(description="Over all workers, since the start.")
