"""Read what a stranger may have written: bounded before it is allocated, and no code is run.

Knows formats and files, nothing of what they mean. All complain by `UntrustedError`, a ValueError,
whose text fits into the sentence of whoever reads.
"""

from napari_dre_slcl.untrusted.arrays import (
    ArchiveReader,
    map_npy,
    open_npz,
    read_npy,
    read_npy_stream,
)
from napari_dre_slcl.untrusted.bounds import ZARR_DAMAGE, UntrustedError, check_array, read_bytes
from napari_dre_slcl.untrusted.cells import defuse, restore
from napari_dre_slcl.untrusted.places import inside, own_size, plain_name
from napari_dre_slcl.untrusted.texts import parse_json, parse_toml, read_json, read_toml

__all__ = [
    "ZARR_DAMAGE",
    "ArchiveReader",
    "UntrustedError",
    "check_array",
    "defuse",
    "inside",
    "map_npy",
    "open_npz",
    "own_size",
    "parse_json",
    "parse_toml",
    "plain_name",
    "read_bytes",
    "read_json",
    "read_npy",
    "read_npy_stream",
    "read_toml",
    "restore",
]
