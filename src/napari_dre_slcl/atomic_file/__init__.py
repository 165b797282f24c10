"""The one place through which files are written: whole or not at all, and durably.

Every other module of the package calls these functions; a test refuses it to write by itself.
"""

from __future__ import annotations

from napari_dre_slcl.atomic_file.aside import aside_of, delete_left_over
from napari_dre_slcl.atomic_file.checksum import (
    check_sum,
    differing,
    write_sums,
    write_with_sum,
)
from napari_dre_slcl.atomic_file.durable import (
    flush_folder,
    flush_stream,
    flush_tree,
    make_folder,
    move,
)
from napari_dre_slcl.atomic_file.in_place import (
    append_lines,
    cut_half_line,
    open_in_place,
    set_mark,
)
from napari_dre_slcl.atomic_file.reasons import DISK_ERRORS
from napari_dre_slcl.atomic_file.scratch import scratch_file, scratch_folder
from napari_dre_slcl.atomic_file.whole_file import (
    atomic_path,
    atomic_writer,
    create_once,
    write_bytes,
    write_json,
    write_private,
    write_text,
)
from napari_dre_slcl.atomic_file.whole_folder import atomic_folder

__all__ = [
    "DISK_ERRORS",
    "append_lines",
    "aside_of",
    "atomic_folder",
    "atomic_path",
    "atomic_writer",
    "check_sum",
    "create_once",
    "cut_half_line",
    "delete_left_over",
    "differing",
    "flush_folder",
    "flush_stream",
    "flush_tree",
    "make_folder",
    "move",
    "open_in_place",
    "scratch_file",
    "scratch_folder",
    "set_mark",
    "write_bytes",
    "write_json",
    "write_private",
    "write_sums",
    "write_text",
    "write_with_sum",
]
