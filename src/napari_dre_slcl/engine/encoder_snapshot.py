"""A tile encoder in a folder that all workers see, so that all of them load the very same one."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.atomic_file import atomic_writer, delete_left_over, write_json
from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.errors import JobError, ModelError
from napari_dre_slcl.model.backbone import Architecture
from napari_dre_slcl.model.encoders import encoder_sha256
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.untrusted import read_json

__all__ = ["load_snapshot", "save_snapshot"]

_WEIGHTS, _ABOUT = "encoder.safetensors", "encoder.json"


def save_snapshot(encoder: TileEncoder, config: EncoderConfig, folder: Path) -> str:
    """Write an encoder; one that lies there already is left.

    Parameters
    ----------
    encoder : TileEncoder
        On any device.
    config : EncoderConfig
        Its settings.
    folder : Path
        Where to; made where it is missing.

    Returns
    -------
    str
        Hash of the encoder, which names its folder inside ``folder``.

    Raises
    ------
    JobError
        If the folder cannot be written.
    """
    sha256 = encoder_sha256(encoder, config)
    target = folder / sha256[:16]
    delete_left_over(target)
    if (target / _ABOUT).is_file():
        return sha256
    state = {name: tensor.detach().cpu() for name, tensor in encoder.state_dict().items()}
    about = {
        "config": config.model_dump(mode="json"),
        "architecture": asdict(encoder.architecture),
        "sha256": sha256,
    }
    try:
        with atomic_writer(target / _WEIGHTS) as stream:
            stream.write(save({name: tensor.contiguous() for name, tensor in state.items()}))
        write_json(target / _ABOUT, about)
    except OSError as error:
        raise JobError(f"The folder '{folder}' cannot be written: {error.strerror}.") from error
    return sha256


@lru_cache(maxsize=1)
def load_snapshot(folder: Path, sha256: str, device: str) -> TileEncoder:
    """Return an encoder, on its device and in evaluation mode; the last one is kept.

    Parameters
    ----------
    folder : Path
        As given to `save_snapshot`.
    sha256 : str
        As `save_snapshot` returned it.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    ModelError
        If it is missing, damaged or another one.
    """
    place = folder / sha256[:16]
    try:
        about = read_json(place / _ABOUT)
        config = EncoderConfig.model_validate(about["config"])
        encoder = TileEncoder(config, Architecture(**about["architecture"]))
        encoder.load_state_dict(load((place / _WEIGHTS).read_bytes()))
    except OSError as error:
        raise ModelError(f"The encoder '{place}' cannot be read: {error.strerror}.") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        ValidationError,
        SafetensorError,
    ) as error:
        raise ModelError(f"The encoder '{place}' is damaged; remove the folder.") from error
    if encoder_sha256(encoder, config) != sha256:
        raise ModelError(f"The encoder '{place}' is another one than this run began with.")
    where = choose_device(device)
    if where.type == "cpu":
        keep_freed_memory()
    encoder.to(where).eval()
    encoder.get_ready()
    return encoder
