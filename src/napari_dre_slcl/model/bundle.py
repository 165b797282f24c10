"""A trained model in one folder: weights, settings, label names, hashes and a card."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_json, write_text
from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["Bundle", "load_bundle", "save_bundle"]

_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained model, ready to predict.

    Parameters
    ----------
    net : DreSlclNet
        In evaluation mode, on the CPU when loaded.
    config : DreSlclConfig
        The settings that it was trained with.
    tasks : tuple of Task
        One per head.
    text_dim : int
        Width of the report space; 0 without one.
    weights_sha256 : str
        Hash of the weights file; empty before it is saved.
    """

    net: DreSlclNet
    config: DreSlclConfig
    tasks: tuple[Task, ...]
    text_dim: int
    weights_sha256: str = ""


def save_bundle(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> Path:
    """Write a model folder, whole or not at all.

    Parameters
    ----------
    bundle : Bundle
        What to write.
    folder : Path
        Target; must not exist.
    facts : dict
        Where the model comes from, for ``model.json`` and the card: number of slides, hash of the
        cohort table, held-out metrics.

    Raises
    ------
    ModelError
        If the folder exists or cannot be written.
    """
    if folder.exists():
        raise ModelError(f"The model folder '{folder}' exists already. Choose another.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            _write_files(bundle, aside, facts)
            aside.chmod(0o755)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"The model '{folder}' cannot be written: {error.strerror}.") from error
    return folder


def _write_files(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> None:
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in bundle.net.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes for the owner alone
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    header = {
        "format": _FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "napari-dre-slcl": __version__,
            "torch": torch.__version__,
            "timm": version("timm"),
        },
        "weights_sha256": digest,
        "config": bundle.config.model_dump(mode="json"),
        "tasks": [asdict(task) for task in bundle.tasks],
        "text_dim": bundle.text_dim,
        **facts,
    }
    write_json(folder / "model.json", header)
    write_text(folder / "MODEL_CARD.md", _card(bundle, facts))


def _card(bundle: Bundle, facts: dict[str, Any]) -> str:
    encoder, tiling = bundle.config.encoder, bundle.config.tiling
    tasks = "\n".join(f"- {task.name}: {', '.join(task.classes)}" for task in bundle.tasks)
    numbers = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        "# Model card\n\n"
        f"Method: {bundle.config.method}, preset {bundle.config.preset}. "
        f"Tile encoder: {encoder.name} on tiles of {tiling.tile_px} px at {tiling.mpp} µm/px, "
        f"shrunk to {encoder.input_px} px.\n\n"
        f"## Tasks\n{tasks or '- none'}\n\n## Facts\n{numbers}\n\n"
        "## Limits\nFor research. It has seen the scanners, stains and patients of its training "
        "cohort only; it is no medical device.\n"
    )


def load_bundle(folder: Path) -> Bundle:
    """Read a model folder.

    Parameters
    ----------
    folder : Path
        A model folder, or a run folder that holds one as ``model``.

    Raises
    ------
    ModelError
        If it is missing, damaged or of another version.
    """
    if (folder / "model" / "model.json").is_file():
        folder = folder / "model"
    try:
        header = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        weights = (folder / "model.safetensors").read_bytes()
    except OSError as error:
        raise ModelError(
            f"'{folder}' is no model folder: '{Path(error.filename or '').name}' cannot be read "
            f"({error.strerror}). Give the 'model' folder of a finished run."
        ) from error
    except ValueError as error:
        raise ModelError(f"'{folder / 'model.json'}' is damaged: {error}.") from error
    digest = hashlib.sha256(weights).hexdigest()
    try:
        if header["format"] != _FORMAT:
            raise ModelError(
                f"The model '{folder}' has format {header['format']}, this version reads {_FORMAT}."
            )
        if header["weights_sha256"] != digest:
            raise ModelError(f"The weights of '{folder}' are damaged: their hash differs.")
        return _build(header, load(weights), digest)
    except (KeyError, TypeError, RuntimeError, ValidationError, SafetensorError) as error:
        raise ModelError(
            f"The model '{folder}' does not fit this version: {str(error).splitlines()[0]}."
        ) from error


def _build(header: dict[str, Any], weights: dict[str, torch.Tensor], digest: str) -> Bundle:
    config = DreSlclConfig.model_validate(header["config"])
    tasks = tuple(Task(t["name"], tuple(t["classes"]), t["positive"]) for t in header["tasks"])
    # The weights of the whole network follow; those that training began from are not needed.
    bare = with_overrides(config, {"encoder.weights": None})
    net = DreSlclNet(bare, [len(task.classes) for task in tasks], header["text_dim"])
    net.load_state_dict(weights)
    net.eval()
    return Bundle(net, config, tasks, header["text_dim"], digest)
