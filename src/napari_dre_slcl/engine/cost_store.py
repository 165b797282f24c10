"""The file of a machine's measured costs: what was measured, with which settings, and when."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.cost_fit import Fitted
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.user_folder import user_folder

__all__ = ["Costs", "costs_file", "read_costs", "settings_that_count", "write_costs"]


_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Costs(BaseModel):
    """Measured costs of one kind of training on one machine.

    Parameters
    ----------
    settings : dict
        Those that the constants depend on, by dotted name.
    seconds : dict
        Component -> unit -> seconds of one, as `cost_fit.Fitted` has them.
    memory : dict
        Unit -> bytes of one; empty where the system does not tell.
    clock : str
        ``wall`` or ``processor``.
    device, machine, version, measured : str
        What computed, the machine's name, this package's version, and the time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    settings: dict[str, Any]
    seconds: dict[str, dict[str, _Amount]]
    memory: dict[str, _Amount]
    clock: Literal["wall", "processor"]
    device: str
    machine: str
    version: str
    measured: str

    def check(self, config: DreSlclConfig, feature_dim: int | None) -> None:
        """Refuse constants of other settings.

        Raises
        ------
        ConfigError
            If a setting that they depend on differs.
        """
        wanted = settings_that_count(config, feature_dim)
        for name, value in wanted.items():
            if self.settings.get(name) != value:
                raise ConfigError(
                    f"The costs of '{self.machine}' were measured with {name}="
                    f"{self.settings.get(name)}, and the plan has {value}. Measure these settings "
                    "with 'dre-slcl plan --measure'; '--costs FILE' keeps both."
                )


def settings_that_count(config: DreSlclConfig, feature_dim: int | None) -> dict[str, Any]:
    """Return the settings that the constants depend on, by dotted name."""
    encoder, features = config.encoder, config.features
    shared = {
        "features' width": feature_dim or 0,
        "codebook.codewords": config.codebook.codewords,
        "residual.weighting": config.residual.weighting,
        "residual.layers": config.residual.layers,
    }
    if feature_dim:
        return shared | {
            "features.adapter": features.adapter,
            "features.adapter_width": features.adapter_width,
        }
    return shared | {
        "encoder.name": encoder.name,
        "encoder.input_px": encoder.input_px,
        "encoder.trainable_blocks": encoder.trainable_blocks,
        "encoder.precision": encoder.precision,
        "encoder.checkpointing": encoder.checkpointing,
    }


def costs_file(preset: str, feature_dim: int | None) -> Path:
    """Return where a machine's costs are kept, unless another file is given."""
    source = f"features-{feature_dim}" if feature_dim else "pixels"
    return user_folder() / "costs" / f"{preset}-{source}.json"


def write_costs(
    path: Path, fitted: Fitted, config: DreSlclConfig, feature_dim: int | None, device: str
) -> Costs:
    """Keep what was measured in seconds of the clock on the wall.

    Raises
    ------
    JobError
        If the file cannot be written.
    """
    costs = Costs(
        settings=settings_that_count(config, feature_dim),
        **asdict(fitted),
        clock="wall",
        device=device,
        machine=platform.node(),
        version=__version__,
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        write_json(path, costs.model_dump(mode="json"))
    except OSError as error:
        raise JobError(f"'{path}' cannot be written: {error.strerror}.") from error
    return costs


def read_costs(path: Path) -> Costs:
    """Read what was measured.

    Raises
    ------
    JobError
        If the file is missing or is no such file.
    """
    try:
        return Costs.model_validate_json(path.read_bytes())
    except OSError as error:
        raise JobError(
            f"The costs '{path}' cannot be read: {error.strerror}. Make them with "
            "'dre-slcl plan --measure'."
        ) from error
    except ValidationError as error:
        raise JobError(
            f"'{path}' holds no measured costs of this version. Make them again with "
            "'dre-slcl plan --measure'."
        ) from error
