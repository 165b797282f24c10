"""A trained model in one folder: weights, settings, label names, hashes and a card.

What predicts needs nothing else: no file of first weights, no feature folder, no hub.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import atomic_folder, write_bytes, write_json, write_text
from napari_dre_slcl.cohort.report_model import ReportModel, save_report_model
from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.allocation_limit import AllocationLimit
from napari_dre_slcl.model.backbone import Architecture
from napari_dre_slcl.model.encoders import build_encoder, encoder_sha256
from napari_dre_slcl.model.model_card import model_card
from napari_dre_slcl.model.nets import TrainedNet, build_net
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.untrusted import UntrustedError, inside, read_json

__all__ = ["Bundle", "load_bundle", "save_bundle"]

_FORMAT = 2
_READABLE = (1, 2)
# Building a network makes each weight, and copies of some while they are initialised.
_GROWTH, _SMALL_BYTES = 6, 256 * 2**20
_STEPS, _FEW_STEPS = 50, 2000
# What models of format 1 did where their settings do not say; defaults may change since.
_BEFORE_FORMAT_2 = {
    "encoder": {"precision": "fp32", "channels_last": False},
    "residual": {"tokens": "sum", "mass_bias": False, "pooling": "cls"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A trained model, ready to predict.

    Parameters
    ----------
    net : SlideNet
        An ``nn.Module``; in evaluation mode, on the CPU when loaded.
    config : DreSlclConfig
        The settings that it was trained with.
    tasks : tuple of Task
        One per head.
    text_dim : int
        Width of the report space; 0 without one.
    weights_sha256 : str
        Hash of the weights file; empty before it is saved.
    names : tuple of str
        What the user calls the codewords; empty for the network's own names.
    folder : Path or None
        Where it was loaded from.
    report_model : ReportModel or None
        The fitted text encoder, to be saved with it; None when loaded, and where there is none.
    """

    net: TrainedNet
    config: DreSlclConfig
    tasks: tuple[Task, ...]
    text_dim: int
    weights_sha256: str = ""
    names: tuple[str, ...] = ()
    folder: Path | None = None
    report_model: ReportModel | None = None

    @property
    def feature_dim(self) -> int | None:
        """Width of the feature files that it takes; None where it takes pixels."""
        encoder = self.net.encoder
        return None if encoder.takes_pixels else int(encoder.in_dim)

    @property
    def codeword_names(self) -> tuple[str, ...]:
        """One per codeword."""
        return self.names or self.net.codeword_names


def save_bundle(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> Path:
    """Write a model folder, whole or not at all.

    Parameters
    ----------
    bundle : Bundle
        What to write.
    folder : Path
        Target; must not exist.
    facts : dict
        Where the model comes from, for ``model.json`` and the card: ``training_slides``,
        ``training_patients``, ``training_tiles``, ``cohort_sha256``, ``text_encoder`` and
        ``metrics``, a number or ``{"mean": m, "std": s, "n": n}`` by name.

    Raises
    ------
    ModelError
        If the folder exists or cannot be written.
    """
    if folder.exists():
        raise ModelError(f"The model folder '{folder}' exists already. Choose another.")
    try:
        with atomic_folder(folder) as aside:
            _write_files(bundle, aside, facts)
    except OSError as error:
        raise ModelError(f"The model '{folder}' cannot be written: {error.strerror}.") from error
    return folder


def _write_files(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> None:
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in bundle.net.state_dict().items()
    }
    content = save(weights)
    # Not by safetensors itself, whose error of a full disk is none of the operating system.
    write_bytes(folder / "model.safetensors", content)
    digest = hashlib.sha256(content).hexdigest()
    header = _header(bundle, digest) | facts
    if bundle.report_model is not None:
        header["text_sha256"] = save_report_model(bundle.report_model, folder)
    write_json(folder / "model.json", header)
    write_text(folder / "MODEL_CARD.md", model_card(header))


def _header(bundle: Bundle, digest: str) -> dict[str, Any]:
    encoder, tiling = bundle.config.encoder, bundle.config.tiling
    parts: dict[str, Any] = {"kind": "features", "feature_dim": bundle.feature_dim}
    if isinstance(bundle.net.encoder, TileEncoder):
        parts = {
            "kind": "timm",
            "name": encoder.name,
            "architecture": asdict(bundle.net.encoder.architecture),
            "feature_dim": None,
            "sha256": encoder_sha256(bundle.net.encoder, encoder),
        }
    return {
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
        "text_encoder": {
            "kind": bundle.config.text.encoder if bundle.text_dim else None,
            "model": bundle.config.text.model,
        },
        "encoder": parts,
        "input": {
            "tile_px": tiling.tile_px,
            "mpp": tiling.mpp,
            "input_px": encoder.input_px,
            "mean": list(encoder.mean),
            "std": list(encoder.std),
        },
        "codewords": list(bundle.codeword_names),
        "parameters": sum(parameter.numel() for parameter in bundle.net.parameters()),
    }


def load_bundle(folder: str | Path) -> Bundle:
    """Read a model folder.

    Parameters
    ----------
    folder : str or Path
        A model folder, or a run folder that holds one as ``model``.

    Returns
    -------
    Bundle
        Network, settings, codebook and card of the model.

    Raises
    ------
    ModelError
        If it is missing, damaged or of another version.
    """
    folder = Path(folder)
    if (folder / "model" / "model.json").is_file():
        folder = folder / "model"
    header, weights = _read_files(folder)
    digest = hashlib.sha256(weights).hexdigest()
    try:
        if header["format"] not in _READABLE:
            raise ModelError(
                f"The model '{folder}' has format {header['format']}, this version reads "
                f"{_READABLE[0]} to {_READABLE[-1]}. Update napari-dre-slcl."
            )
        if header["weights_sha256"] != digest:
            raise ModelError(f"The weights of '{folder}' are damaged: their hash differs.")
        tensors = load(weights)
        limit = AllocationLimit(
            _GROWTH * len(weights) + _SMALL_BYTES, _STEPS * len(tensors) + _FEW_STEPS
        )
        with limit:
            return _build(header, tensors, digest, folder.absolute())
    except (
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        ValueError,
        OverflowError,
        MemoryError,
        AssertionError,
        SafetensorError,
    ) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        raise ModelError(f"The model '{folder}' does not fit this version: {reason}.") from error


def _read_files(folder: Path) -> tuple[dict[str, Any], bytes]:
    try:
        header = read_json(inside(folder, "model.json"))
        return header, inside(folder, "model.safetensors").read_bytes()
    except OSError as error:
        raise ModelError(
            f"'{folder}' is no model folder: '{Path(error.filename or '').name}' cannot be read "
            f"({error.strerror}). Give the 'model' folder of a finished run."
        ) from error
    except UntrustedError as error:
        raise ModelError(f"The model '{folder}' is not read: {error}.") from error
    except ValueError as error:
        raise ModelError(f"'{folder / 'model.json'}' is damaged: {error}.") from error


def _build(
    header: dict[str, Any], weights: dict[str, torch.Tensor], digest: str, folder: Path
) -> Bundle:
    settings = header["config"]
    if header["format"] == 1:
        settings = settings | {
            section: values | settings[section] for section, values in _BEFORE_FORMAT_2.items()
        }
    config = DreSlclConfig.model_validate(settings)
    tasks = tuple(Task(t["name"], tuple(t["classes"]), t["positive"]) for t in header["tasks"])
    made_of = header.get("encoder", {"kind": "timm"})
    # The weights of the whole network follow; those that training began from are not needed.
    built_from = made_of.get("architecture") or {"name": config.encoder.name}
    encoder = build_encoder(config, made_of.get("feature_dim"), Architecture(**built_from))
    net = build_net(config, [len(task.classes) for task in tasks], header["text_dim"], encoder)
    net.load_state_dict(weights)
    net.eval()
    names = tuple(str(name) for name in header.get("codewords", ()))
    if len(names) != len(net.codeword_names):
        names = ()
    return Bundle(net, config, tasks, header["text_dim"], digest, names, folder)
