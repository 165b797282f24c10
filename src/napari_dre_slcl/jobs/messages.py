"""What travels over the wire: one job as a JSON file, one event per JSON line.

Knows neither the configuration models nor what runs a job; a job's ``config`` is plain JSON here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.cluster_messages import (
    ClusterChoice,
    EmbedJob,
    PrivateJob,
    Words,
    WorkerRow,
    Workers,
)
from napari_dre_slcl.untrusted import UntrustedError, read_bytes

__all__ = [
    "PAUSED_STAGE",
    "AskJob",
    "Cancelled",
    "ClusterChoice",
    "Command",
    "EmbedJob",
    "EstimateJob",
    "Event",
    "Failed",
    "IndexJob",
    "Job",
    "JobSpec",
    "Log",
    "Metric",
    "PredictJob",
    "PrivateJob",
    "Progress",
    "Result",
    "ResumeJob",
    "Snapshot",
    "TrainJob",
    "WhatIfJob",
    "WorkerRow",
    "Workers",
    "event_line",
    "parse_command",
    "parse_event",
    "parse_job",
]

_MOST_BYTES = 2**24
PAUSED_STAGE = "Paused"
"""Stage of the `Progress` that says a job holds still; one of another stage says it goes on."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainJob(PrivateJob):
    """Train a model on a cohort."""

    kind: Literal["train"] = "train"
    cohort: Path = Field(description="Cohort table (CSV).")
    run_dir: Path = Field(description="Run folder to create.")
    preset: str = Field("default", description="Name of the preset that the settings start from.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by dotted name, such as 'training.epochs'."
    )
    pinned: str | None = Field(
        None, description="slide_id of a slide whose result is written anew after each epoch."
    )


class EstimateJob(PrivateJob):
    """Say what a training would take; nothing is trained and nothing is written."""

    kind: Literal["estimate"] = "estimate"
    cohort: Path = Field(description="Cohort table (CSV).")
    run_dir: Path = Field(description="Run folder that the training would create.")
    preset: str = Field("default", description="Name of the preset that the settings start from.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings by dotted name, such as 'training.epochs'."
    )


class ResumeJob(_Message):
    """Go on with a training that was killed, cancelled or stopped by an error."""

    kind: Literal["resume"] = "resume"
    run_dir: Path = Field(description="Run folder of the training.")
    devices: int | None = Field(
        None, ge=1, description="Processes per machine from here on; empty as before."
    )
    nodes: int | None = Field(
        None,
        ge=1,
        description="Machines from here on, each with so many processes; empty as before.",
    )


class PredictJob(PrivateJob):
    """Predict slides with a trained model."""

    kind: Literal["predict"] = "predict"
    model: Path = Field(description="Model folder, or a run folder that holds one.")
    slides: tuple[Path, ...] = Field((), description="Slide files or DICOM folders.")
    cohort: Path | None = Field(None, description="Cohort table, in the place of slides.")
    out: Path = Field(description="Folder for the results.")
    mpp: float | None = Field(
        None, description="Pixel size in µm, 0.1 to 10; wins over what the slides state."
    )
    mpp_source: str = Field("user", description="Who gave mpp; kept in the results.")
    mask: Path | None = Field(
        None, description="Tissue mask of the one slide; found in its pixels by default."
    )
    min_tissue: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of a tile that must be tissue; by default that of the training.",
    )
    device: str = Field("auto", description="auto, cpu, cuda or mps.")
    part_tiles: int = Field(
        20_000,
        ge=1,
        description="With a cohort or a cluster: larger slides are done in parts of so many.",
    )
    cluster: ClusterChoice | None = Field(None, description="Who does it; empty: this process.")


class IndexJob(PrivateJob):
    """Predict every slide of a cohort and make its tiles and slides searchable."""

    kind: Literal["index"] = "index"
    model: Path = Field(description="Model folder, or a run folder that holds one.")
    cohort: Path = Field(description="Cohort table.")
    out: Path = Field(description="Folder for the index; results of the slides go into it as well.")
    features: Path | None = Field(
        None, description="Folder of feature files, for a model that was trained on such."
    )
    device: str = Field("auto", description="auto, cpu, cuda or mps.")


class WhatIfJob(_Message):
    """Predict a slide again as if some of its tiles were not there."""

    kind: Literal["what-if"] = "what-if"
    model: Path = Field(description="Model folder, or a run folder that holds one.")
    result: Path = Field(description="Result file of the slide, with its tile features.")
    without_codewords: tuple[int, ...] = Field((), description="Numbers of codewords, from 0.")
    without_tiles: Path | None = Field(
        None, description="npy file of int64 positions in the result's tile table."
    )


class AskJob(_Message):
    """Place phrases in the report space of a model."""

    kind: Literal["ask"] = "ask"
    model: Path = Field(description="Model folder, or a run folder that holds one.")
    phrases: tuple[str, ...] = Field(description="What to look for.")
    out: Path = Field(description="npy file to write: (phrases, width) float32 unit rows.")


JobSpec = Annotated[
    TrainJob | EstimateJob | ResumeJob | PredictJob | EmbedJob | IndexJob | WhatIfJob | AskJob,
    Field(discriminator="kind"),
]
Job = TrainJob | EstimateJob | ResumeJob | PredictJob | EmbedJob | IndexJob | WhatIfJob | AskJob
"""Any job."""


class Progress(_Message):
    """How far a stage has come."""

    event: Literal["progress"] = "progress"
    stage: Words = Field(description="Plain words, such as 'Training'.")
    done: int
    total: int
    message: Words = ""


class Metric(_Message):
    """Numbers measured at a step, such as the losses of an epoch."""

    event: Literal["metric"] = "metric"
    step: int
    values: dict[str, float]


class Snapshot(_Message):
    """A result of the pinned slide has been written while the training goes on."""

    event: Literal["snapshot"] = "snapshot"
    step: int = Field(description="Epoch, from 1.")
    path: Path = Field(description="The result file; the next one takes its place.")


class Log(_Message):
    """A sentence for the user that is not an error."""

    event: Literal["log"] = "log"
    level: Literal["info", "warning"] = "info"
    message: Words


class Result(_Message):
    """The job has ended well; ``paths`` names what it wrote."""

    event: Literal["result"] = "result"
    kind: Literal["train", "estimate", "predict", "embed", "index", "what-if", "ask"]
    paths: dict[str, Path] = Field(
        description="train: run, model, metrics, predictions. predict, embed: slide id -> file. "
        "index: index. ask: vectors. what-if: none, 'task/class' -> probability in metrics. "
        "estimate: none, seconds, bytes and counts in metrics."
    )
    metrics: dict[str, float] = Field(default_factory=dict)
    skipped: dict[Words, Words] = Field(
        default_factory=dict, description="Slide -> the sentence that says why it was left out."
    )


class Failed(_Message):
    """The job has ended with an error."""

    event: Literal["failed"] = "failed"
    message: Words


class Cancelled(_Message):
    """The job has ended because the user asked for it."""

    event: Literal["cancelled"] = "cancelled"
    message: Words = "Cancelled."


Event = Annotated[
    Progress | Metric | Snapshot | Workers | Log | Result | Failed | Cancelled,
    Field(discriminator="event"),
]


class Command(_Message):
    """A line that the engine process reads from its standard input."""

    command: Literal["run", "pause", "continue", "cancel", "quit"]
    job: Path | None = Field(None, description="The job file, for 'run'.")


_JOB: TypeAdapter[Job] = TypeAdapter(JobSpec)
_EVENT: TypeAdapter[Any] = TypeAdapter(Event)


def event_line(event: BaseModel) -> str:
    """Return an event as one JSON line without the newline."""
    try:
        return event.model_dump_json()
    except PydanticSerializationError:  # a path in it is no valid UTF-8, as files may be called
        return json.dumps(event.model_dump(mode="json"))


def parse_event(
    line: str,
) -> Progress | Metric | Snapshot | Workers | Log | Result | Failed | Cancelled:
    """Read one event line.

    Raises
    ------
    JobError
        If the line is no event of this version.
    """
    try:
        event: Progress | Metric | Snapshot | Workers | Log | Result | Failed | Cancelled
        event = _EVENT.validate_json(line)
    except ValidationError as error:
        raise JobError(
            f"The engine sent a line that is no event: {line[:200]!r}. Its version may differ from "
            "that of the plugin; restart napari."
        ) from error
    return event


def parse_command(line: str) -> Command:
    """Read one command line; raises `JobError` where it is none."""
    try:
        return Command.model_validate_json(line)
    except ValidationError as error:
        raise JobError(f"The engine got a line that is no command: {line[:200]!r}.") from error


def parse_job(path: Path) -> Job:
    """Read a job file.

    Raises
    ------
    JobError
        If the file is missing or is no job.
    """
    try:
        job: Job = _JOB.validate_json(read_bytes(path, _MOST_BYTES))
    except OSError as error:
        raise JobError(f"The job file '{path}' cannot be read: {error.strerror}.") from error
    except UntrustedError as error:
        raise JobError(f"The job file '{path}' is not read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JobError(
            f"The job file '{path}' is not valid at '{where[:80]}': {first['msg'][:200]}."
        ) from error
    return job
