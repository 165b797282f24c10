"""Small files that speak of much: rows without end, bombs, numbers past all sense."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from torture.strangers.corpus.sample import Makers, copied

__all__ = ["MAKERS"]

_ROWS = 10**12


def _npy(shape: tuple[int, ...], descr: str = "<f4", content: bytes = b"") -> bytes:
    """Return an npy file of a few bytes that claims a shape."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def _npz(folder: Path, honest: Path, **arrays: bytes) -> Path:
    target = folder / honest.name
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            new.writestr(one, arrays.get(one.removesuffix(".npy"), old.read(one)))
    return target


def _result_of_very_many_tiles(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, rowcol=_npy((_ROWS, 2), "<i8"))


def _result_of_rows_without_width(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, features=_npy((_ROWS, 0)))


def _result_that_is_a_bomb(folder: Path, honest: Path) -> Path:
    n_rows = 2**23
    return _npz(folder, honest, features=_npy((n_rows, 4), content=bytes(16 * n_rows)))


def _result_of_one_huge_number(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, slide_vector=_npy((), "<U268435456"))


def _result_of_parts_over_each_other(folder: Path, honest: Path) -> Path:
    """Many names of one packed member: each alone is harmless (Fifield 2019, zip bombs)."""
    target = folder / honest.name
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rowcol.npy", _npy((2**22, 2), "<i8", bytes(2**26)))
        first = archive.infolist()[0]
        for name in ("header", "codeword", "attention", "residual_norm", "features"):
            copy = zipfile.ZipInfo(f"{name}.npy")
            for field in ("CRC", "compress_size", "file_size", "compress_type", "header_offset"):
                setattr(copy, field, getattr(first, field))
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
    target.write_bytes(content.getvalue())
    return target


def _vectors_of_very_many_slides(folder: Path, honest: Path) -> Path:
    return _npz(folder, honest, vectors=_npy((_ROWS, 512)))


def _features_of_very_many_tiles(folder: Path, honest: Path) -> Path:
    import h5py

    with h5py.File(folder / honest.name, "w") as file:
        file.create_dataset("features", (_ROWS, 1024), "f4", chunks=(16, 1024))
    return folder / honest.name


def _features_in_one_huge_block(folder: Path, honest: Path) -> Path:
    import h5py

    with h5py.File(folder / honest.name, "w") as file:
        shape, chunk = (10, 4), (2**25, 8)
        table = file.create_dataset(
            "features", shape, "f4", chunks=chunk, maxshape=(None, None), compression="gzip"
        )
        file["coords"] = np.zeros((10, 2), int)
        del table
    return folder / honest.name


def _coordinates_of_very_many_tiles(folder: Path, honest: Path) -> Path:
    import h5py

    target = copied(folder, honest)
    with h5py.File(target, "r+") as file:
        del file["coords"]
        file.create_dataset("coords", (1, 6, 2), "i8", chunks=(2**20, 6, 2), maxshape=(None, 6, 2))
        del file["features"]
        file.create_dataset("features", (2**40, 4), "f4", chunks=(2**10, 4))
    return target


def _ready_vectors_of_very_many_slides(folder: Path, honest: Path) -> Path:
    import h5py

    with h5py.File(folder / honest.name, "w") as file:
        file.create_dataset("slide_id", (_ROWS,), h5py.string_dtype(), chunks=(1024,))
        file.create_dataset("vectors", (_ROWS, 8), "f4", chunks=(1024, 8))
    return folder / honest.name


def _index_of_very_many_tiles(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for name in ("atlas_slides", "slide_vectors"):
        for path in target.rglob(f"{name}.npy"):
            path.write_bytes(_npy((_ROWS, 2), "<f8"))
    return target


def _codes(folder: Path, honest: Path, suffix: str, place: int, value: int) -> Path:
    """Return an index with another number in its codes, whose lengths in the header are right."""
    target = copied(folder, honest)
    header = json.loads((target / "index.json").read_text())
    codes = target / "codes" / header["codes"]["name"]
    path = sorted(codes.glob(f"*{suffix}"))[0]
    content = bytearray(path.read_bytes())
    content[place : place + 8] = value.to_bytes(8, "little")
    path.write_bytes(content)
    return target


def _codes_longer_than_their_file(folder: Path, honest: Path) -> Path:
    return _codes(folder, honest, ".ivf", 32, 2**30)


def _codes_of_very_many_lists(folder: Path, honest: Path) -> Path:
    return _codes(folder, honest, ".faiss", 37, 2**40)


def _centroids_longer_than_their_file(folder: Path, honest: Path) -> Path:
    return _codes(folder, honest, ".faiss", 90, 2**40)


def _header(target: Path, change: Any) -> Path:
    header = json.loads((target / "model.json").read_text())
    change(header)
    (target / "model.json").write_text(json.dumps(header))
    return target


def _model_of_a_huge_transformer(folder: Path, honest: Path) -> Path:
    def change(header: dict[str, Any]) -> None:
        header["config"]["residual"]["ffn_ratio"] = 1e9

    return _header(copied(folder, honest), change)


def _model_of_a_huge_report_space(folder: Path, honest: Path) -> Path:
    return _header(copied(folder, honest), lambda header: header.update(text_dim=10**12))


def _model_of_a_wide_backbone(folder: Path, honest: Path) -> Path:
    def change(header: dict[str, Any]) -> None:
        header["encoder"]["architecture"]["args"] = {"embed_dim": 99_840, "depth": 99}

    return _header(copied(folder, honest), change)


def _model_of_a_deep_backbone(folder: Path, honest: Path) -> Path:
    def change(header: dict[str, Any]) -> None:
        header["encoder"]["architecture"]["args"] = {"depth": 100_000}

    return _header(copied(folder, honest), change)


def _model_of_very_many_classes(folder: Path, honest: Path) -> Path:
    def change(header: dict[str, Any]) -> None:
        header["tasks"] = header["tasks"] * 100_000

    return _header(copied(folder, honest), change)


def _weights_with_a_header_without_end(folder: Path, honest: Path) -> Path:
    target = folder / honest.name
    target.write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")
    return target


def _model_with_a_header_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    content = (2**62).to_bytes(8, "little") + b"{}"
    (target / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return _header(target, lambda header: header.update(weights_sha256=digest))


def _language_model_with_a_header_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    # As long as it says, on a disk that keeps no zeros.
    with (target / "model.safetensors").open("wb") as stream:
        stream.write((8 * 2**30).to_bytes(8, "little"))
        stream.truncate(9 * 2**30)
    return target


def _model_json_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    with (target / "model.json").open("r+b") as stream:
        stream.truncate(4 * 2**30)
    return target


def _job_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    with target.open("r+b") as stream:
        stream.truncate(4 * 2**30)
    return target


def _settings_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    with (target / "config.toml").open("r+b") as stream:
        stream.truncate(4 * 2**30)
    return target


def _state_without_end(folder: Path, honest: Path) -> Path:
    target = copied(folder, honest)
    for path in target.rglob("state.json"):
        with path.open("r+b") as stream:
            stream.truncate(4 * 2**30)
    return target


def _mask_that_is_a_bomb(folder: Path, honest: Path) -> Path:
    from PIL import Image, PngImagePlugin

    with Image.open(honest) as picture:
        facts = PngImagePlugin.PngInfo()
        for key, value in picture.info.items():
            if isinstance(key, str) and isinstance(value, str):
                facts.add_text(key, str(value))
    Image.new("P", (15_000, 15_000)).save(folder / honest.name, pnginfo=facts)
    return folder / honest.name


def _zarr(target: Path, **changes: Any) -> Path:
    for path in (target / "0" / "zarr.json", target / "labels" / "codewords" / "0" / "zarr.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return target


def _zarr_without_end(folder: Path, honest: Path) -> Path:
    return _zarr(copied(folder, honest), shape=[10**6, 10**6])


def _zarr_of_one_huge_block(folder: Path, honest: Path) -> Path:
    grid = {"name": "regular", "configuration": {"chunk_shape": [10**6, 10**6]}}
    return _zarr(copied(folder, honest), chunk_grid=grid)


MAKERS: Makers = (
    ("result", _result_of_very_many_tiles),
    ("result", _result_of_rows_without_width),
    ("result", _result_that_is_a_bomb),
    ("result", _result_of_one_huge_number),
    ("result", _result_of_parts_over_each_other),
    ("report vectors npz", _vectors_of_very_many_slides),
    ("report vectors h5", _ready_vectors_of_very_many_slides),
    ("features", _features_of_very_many_tiles),
    ("features", _features_in_one_huge_block),
    ("features", _coordinates_of_very_many_tiles),
    ("search index", _index_of_very_many_tiles),
    ("search index", _codes_longer_than_their_file),
    ("search index", _codes_of_very_many_lists),
    ("search index", _centroids_longer_than_their_file),
    ("model folder", _model_of_a_huge_transformer),
    ("model folder", _model_of_a_huge_report_space),
    ("model folder", _model_of_a_wide_backbone),
    ("model folder", _model_of_a_deep_backbone),
    ("model folder", _model_of_very_many_classes),
    ("model folder", _model_json_without_end),
    ("model folder", _model_with_a_header_without_end),
    ("weights safetensors", _weights_with_a_header_without_end),
    ("weights pth", _weights_with_a_header_without_end),
    ("language model", _language_model_with_a_header_without_end),
    ("job", _job_without_end),
    ("run folder", _settings_without_end),
    ("run folder", _state_without_end),
    ("tissue mask", _mask_that_is_a_bomb),
    ("OME-Zarr", _zarr_without_end),
    ("OME-Zarr", _zarr_of_one_huge_block),
)
