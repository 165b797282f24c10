"""Files that would lead elsewhere: traversal names, symbolic links, links inside of HDF5."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from torture.strangers.corpus.sample import Makers, copied
from torture.strangers.kinds import SECRET

__all__ = ["MAKERS"]


def _secret(folder: Path) -> Path:
    path = folder / "secret.bin"
    path.write_bytes(SECRET * 4)
    return path


def _index_header(target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    header = json.loads((target / "index.json").read_text())
    change(header)
    (target / "index.json").write_text(json.dumps(header))
    return target


def _index_whose_data_lie_above(folder: Path, honest: Path) -> Path:
    return _index_header(copied(folder, honest), lambda header: header.update(data=".."))


def _index_whose_data_have_a_path(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    (target / "data-1").rename(folder / "elsewhere")
    return _index_header(target, lambda header: header.update(data="../elsewhere"))


def _index_whose_shard_lies_above(folder: Path, honest: Path) -> Path:
    return _index_header(
        copied(folder, honest), lambda header: header["shards"][0].update(name="..")
    )


def _index_whose_shard_has_no_name(folder: Path, honest: Path) -> Path:
    return _index_header(copied(folder, honest), lambda header: header["shards"][0].update(name=""))


def _index_whose_codes_lie_above(folder: Path, honest: Path) -> Path:
    return _index_header(
        copied(folder, honest), lambda header: header["codes"].update(name="../shards")
    )


def _linked(target: Path, name: str, elsewhere: Path) -> Path:
    """Move a part of a folder elsewhere and leave a link to it."""
    part = next(iter(target.glob(name)))
    part.rename(elsewhere)
    part.symlink_to(elsewhere)
    return target


def _index_with_linked_shards(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "shards", folder / "elsewhere")


def _index_with_a_linked_array(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "shards/*/features.npy", folder / "elsewhere.npy")


def _index_with_a_linked_header(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "index.json", folder / "elsewhere.json")


def _model_with_linked_weights(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "model.safetensors", folder / "elsewhere")


def _model_with_a_linked_header(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "model.json", folder / "elsewhere")


def _report_model_with_linked_words(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "text", folder / "elsewhere")


def _checkpoint_that_is_linked(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "checkpoints/step-00000001", folder / "elsewhere")


def _zarr_with_a_linked_block(folder: Path, honest: Path) -> Path:
    return _linked(copied(folder, honest), "0/c/0/0/0", folder / "elsewhere")


def _features_of_another_file(folder: Path, honest: Path) -> Path:
    import h5py

    with h5py.File(folder / "other.h5", "w") as file:
        file["features"] = np.ones((6, 4), np.float32)
    with h5py.File(folder / honest.name, "w") as file:
        file["features"] = h5py.ExternalLink(str(folder / "other.h5"), "features")
    return folder / honest.name


def _features_in_raw_bytes_elsewhere(folder: Path, honest: Path) -> Path:
    import h5py

    secret = _secret(folder)
    with h5py.File(folder / honest.name, "w") as file:
        file.create_dataset(
            "features", (6, 4), "u1", external=[(str(secret), 0, secret.stat().st_size)]
        )
    return folder / honest.name


def _virtual_features(folder: Path, honest: Path) -> Path:
    import h5py

    with h5py.File(folder / "other.h5", "w") as file:
        file["features"] = np.ones((6, 4), np.float32)
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "features", (6, 4))
    with h5py.File(folder / honest.name, "w") as file:
        file.create_virtual_dataset("features", layout)
    return folder / honest.name


def _coordinates_of_another_file(folder: Path, honest: Path) -> Path:
    import h5py

    target = copied(folder, honest)
    with h5py.File(target, "r+") as file:
        file.move("coords", "places")
        file["coords"] = h5py.SoftLink("/places")
    return target


def _vectors_of_another_file(folder: Path, honest: Path) -> Path:
    import h5py

    other = copied(folder, honest)
    with h5py.File(folder / "link.h5", "w") as file:
        for name in ("slide_id", "vectors"):
            file[name] = h5py.ExternalLink(str(other), name)
    return folder / "link.h5"


def _slide_id_that_is_a_path(folder: Path, honest: Path) -> Path:
    target = folder / honest.name
    target.write_text("slide_id,patient_id,subtype\n../../x,P1,LUAD\n..,P2,LUSC\n")
    return target


def _slide_id_of_another_system(folder: Path, honest: Path) -> Path:
    target = folder / honest.name
    target.write_text('slide_id,patient_id,subtype\n"C:\\x\\y",P1,LUAD\na,P2,LUSC\n')
    return target


def _language_model_with_modules_above(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    (target / "config.json").rename(folder / "config.json")
    (target / "model.safetensors").rename(folder / "model.safetensors")
    (target / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": ".."}]))
    return target


def _table_that_is_a_device(folder: Path, honest: Path) -> Path:
    target = folder / honest.name
    target.symlink_to("/dev/zero")
    return target


def _result_that_is_a_device(folder: Path, honest: Path) -> Path:
    return _table_that_is_a_device(folder, honest)


def _model_header_that_is_a_device(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    (target / "model.json").unlink()
    (target / "model.json").symlink_to("/dev/zero")
    return target


def _run_with_devices(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    (target / "config.toml").unlink()
    (target / "config.toml").symlink_to("/dev/zero")
    return target


MAKERS: Makers = (
    ("search index", _index_whose_data_lie_above),
    ("search index", _index_whose_data_have_a_path),
    ("search index", _index_whose_shard_lies_above),
    ("search index", _index_whose_shard_has_no_name),
    ("search index", _index_whose_codes_lie_above),
    ("search index", _index_with_linked_shards),
    ("search index", _index_with_a_linked_array),
    ("search index", _index_with_a_linked_header),
    ("model folder", _model_with_linked_weights),
    ("model folder", _model_with_a_linked_header),
    ("model folder", _model_header_that_is_a_device),
    ("report model", _report_model_with_linked_words),
    ("run folder", _checkpoint_that_is_linked),
    ("run folder", _run_with_devices),
    ("OME-Zarr", _zarr_with_a_linked_block),
    ("features", _features_of_another_file),
    ("features", _features_in_raw_bytes_elsewhere),
    ("features", _virtual_features),
    ("features", _coordinates_of_another_file),
    ("report vectors h5", _vectors_of_another_file),
    ("cohort csv", _slide_id_that_is_a_path),
    ("cohort csv", _slide_id_of_another_system),
    ("cohort csv", _table_that_is_a_device),
    ("split file", _table_that_is_a_device),
    ("result", _result_that_is_a_device),
    ("language model", _language_model_with_modules_above),
)
