"""Files that would run code: pickles wherever a loader might take one."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from torture.strangers.corpus.sample import Makers, copied

__all__ = ["MAKERS"]


class _Payload:
    """Unpickled, it makes a file beside the sample."""

    def __init__(self, folder: Path) -> None:
        self._marker = folder / "code-ran"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self._marker, "ran"))


def _object_npy(folder: Path) -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([_Payload(folder)], dtype=object), allow_pickle=True)
    return content.getvalue()


def _npz(folder: Path, honest: Path, name: str) -> Path:
    """Return a copy of an npz file with one array of objects."""
    target = folder / honest.name
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.namelist():
            new.writestr(one, _object_npy(folder) if one == f"{name}.npy" else old.read(one))
    return target


def _pickled_header_of_a_result(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, "header")


def _pickled_features_of_a_result(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, "features")


def _pickled_report_space(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, "report_space")


def _bare_pickle(folder: Path, honest: Path) -> Path:
    target = folder / honest.name
    target.write_bytes(pickle.dumps(_Payload(folder)))
    return target


def _pickled_names(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, "slide_id")


def _pickled_vectors(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, "vectors")


def _pickle_of_torch(folder: Path, honest: Path) -> Path:
    import torch

    target = folder / honest.name
    torch.save({"state_dict": _Payload(folder)}, target)
    return target


def _old_pickle_of_torch(folder: Path, honest: Path) -> Path:
    import torch

    target = folder / honest.name
    torch.save({"model": _Payload(folder)}, target, _use_new_zipfile_serialization=False)
    return target


def _pickled_part_of_an_index(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.rglob("slide_vectors.npy"):
        path.write_bytes(_object_npy(folder))
    return target


def _pickle_as_part_of_an_index(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.rglob("features.npy"):
        path.write_bytes(pickle.dumps(_Payload(folder)))
    return target


def _pickled_bank(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.rglob("*.npy"):
        path.write_bytes(_object_npy(folder))
    return target


def _pickle_as_weights_of_a_model(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    (target / "model.safetensors").write_bytes(pickle.dumps(_Payload(folder)))
    return _with_right_hash(target)


def _pickle_as_checkpoint(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.rglob("*.safetensors"):
        path.write_bytes(pickle.dumps(_Payload(folder)))
    return target


def _pickled_directions(folder: Path, honest: Path) -> Path:
    import hashlib

    target = copied(folder, honest)
    content = _object_npy(folder)
    (target / "text" / "directions.npy").write_bytes(content)
    header = json.loads((target / "model.json").read_text())
    header["text_sha256"]["directions.npy"] = hashlib.sha256(content).hexdigest()
    (target / "model.json").write_text(json.dumps(header))
    return target


def _with_right_hash(target: Path) -> Path:
    import hashlib

    header = json.loads((target / "model.json").read_text())
    weights = (target / "model.safetensors").read_bytes()
    header["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    (target / "model.json").write_text(json.dumps(header))
    return target


def _architecture(target: Path, **changes: Any) -> Path:
    header = json.loads((target / "model.json").read_text())
    header["encoder"]["architecture"] |= changes
    (target / "model.json").write_text(json.dumps(header))
    return target


def _backbone_that_loads_a_file(folder: Path, honest: Path) -> Path:
    weights = folder / "evil.pth"
    weights.write_bytes(pickle.dumps(_Payload(folder)))
    return _architecture(copied(folder, honest), args={"checkpoint_path": str(weights)})


def _backbone_that_fetches(folder: Path, honest: Path) -> Path:
    return _architecture(copied(folder, honest), args={"pretrained": True})


def _backbone_of_a_hub(folder: Path, honest: Path) -> Path:
    return _architecture(copied(folder, honest), name="hf-hub:nobody/nothing")


def _backbone_of_a_local_folder(folder: Path, honest: Path) -> Path:
    return _architecture(copied(folder, honest), name=f"local-dir:{folder}")


def _zarr_of_objects(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in (target / "0" / "zarr.json", target / "labels" / "codewords" / "0" / "zarr.json"):
        facts = json.loads(path.read_text())
        facts["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
        path.write_text(json.dumps(facts))
    return target


MAKERS: Makers = (
    ("result", _pickled_header_of_a_result),
    ("result", _pickled_features_of_a_result),
    ("result", _pickled_report_space),
    ("result", _bare_pickle),
    ("features", _bare_pickle),
    ("report vectors npz", _bare_pickle),
    ("report vectors npz", _pickled_names),
    ("report vectors npz", _pickled_vectors),
    ("cohort csv", _bare_pickle),
    ("cohort parquet", _bare_pickle),
    ("cohort xlsx", _bare_pickle),
    ("weights pth", _bare_pickle),
    ("weights pth", _pickle_of_torch),
    ("weights pth", _old_pickle_of_torch),
    ("weights safetensors", _bare_pickle),
    ("search index", _pickled_part_of_an_index),
    ("search index", _pickle_as_part_of_an_index),
    ("memory bank", _pickled_bank),
    ("model folder", _pickle_as_weights_of_a_model),
    ("model folder", _backbone_that_loads_a_file),
    ("model folder", _backbone_that_fetches),
    ("model folder", _backbone_of_a_hub),
    ("model folder", _backbone_of_a_local_folder),
    ("run folder", _pickle_as_checkpoint),
    ("report model", _pickled_directions),
    ("OME-Zarr", _zarr_of_objects),
)
