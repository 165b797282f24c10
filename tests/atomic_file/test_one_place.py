"""All files are written through one package: the source is read, and any other way refused."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

import napari_dre_slcl

SOURCE = Path(napari_dre_slcl.__file__).parent
HOME = "atomic_file"
# Where a file is not written anew, and why that is sound.
ALLOWED = {
    ("model/bank_rows.py", "open_memmap"): "rows in place; a checkpoint holds what changed",
    ("cohort/private_slides.py", "os.symlink"): "a link holds nothing",
    ("gui/job_runner.py", "open for writing"): "complaints of a child, in a folder for the moment",
    ("cohort/feature_write.py", "h5py.File"): "into memory",
    ("cohort/feature_layouts.py", "h5py.File"): "into memory",
    ("export/ome_zarr.py", "create_group"): "in functions that are given the folder aside",
    ("doctor/folders.py", "NamedTemporaryFile"): "finds out whether one can write",
    ("doctor/folders.py", "TemporaryDirectory"): "finds out whether one can write",
    ("doctor/slide_probe.py", "imwrite"): "into memory",
    ("jobs/worker.py", "open for writing"): "standard output",
    ("trial/child.py", "open for writing"): "standard output",
}
OS_CALLS = {"replace", "rename", "renames", "link", "symlink", "fsync", "fdatasync", "truncate"}
OS_CALLS |= {"mkfifo", "write", "pwrite", "writev"}
SHUTIL_CALLS = {"copy", "copy2", "copyfile", "move"}
PATH_CALLS = {"write_text", "write_bytes", "touch", "hardlink_to", "symlink_to", "rename"}
TEMPORARY = {"mkstemp", "NamedTemporaryFile", "TemporaryFile"}
BY_NAME = {"TiffWriter", "imwrite", "imsave", "savefig", "to_excel", "to_parquet", "save_file"}
BY_NAME |= {"to_pickle", "to_hdf", "tofile", "create_group"}
STREAMS = {"atomic_writer", "BytesIO", "StringIO", "open_in_place"}
ASIDE = {"atomic_path", "atomic_folder"}


def calls(
    tree: ast.AST, within: tuple[str, ...] = ()
) -> Iterator[tuple[ast.Call, tuple[str, ...]]]:
    """Yield calls with the names of functions whose ``with`` blocks they stand in."""
    for node in ast.iter_child_nodes(tree):
        inside = within
        if isinstance(node, ast.With):
            managers = (item.context_expr for item in node.items)
            inside += tuple(name_of(one.func) for one in managers if isinstance(one, ast.Call))
        if isinstance(node, ast.Call):
            yield node, inside
        yield from calls(node, inside)


def name_of(node: ast.expr) -> str:
    """Return the last name of a function that is called."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def module_of(node: ast.expr) -> str:
    """Return what stands before the dot, where that is a name."""
    is_name = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return node.value.id if is_name else ""  # type: ignore[attr-defined]


def text_argument(call: ast.Call, place: int, keyword: str) -> str:
    """Return an argument that is a text."""
    found = [word.value for word in call.keywords if word.arg == keyword]
    found += call.args[place : place + 1]
    constants = [node.value for one in found for node in ast.walk(one) if is_text(node)]
    return "".join(constants)


def is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    """Return whether a node is a text."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def way(call: ast.Call, within: tuple[str, ...]) -> str:
    """Say by which way a call writes a file by itself; empty if it does not."""
    name, module = name_of(call.func), module_of(call.func)
    if name in ("open", "fdopen"):
        mode = text_argument(call, 0 if is_method(call) else 1, "mode")
        is_mode = set(mode) <= set("rwaxbt+")
        return "open for writing" if is_mode and set(mode) & set("wax+") else ""
    if name in ("File", "ZipFile") and text_argument(call, 1, "mode") in ("w", "a", "x", "r+"):
        return f"{module}.{name}"
    if name in ("open_memmap", "memmap"):
        mode = text_argument(call, 2 if name == "memmap" else 1, "mode")
        return name if not mode or (set(mode) & set("w+") and not set(within) & ASIDE) else ""
    if module == "os":
        return f"os.{name}" if name in OS_CALLS else ""
    if module == "shutil":
        return f"shutil.{name}" if name in SHUTIL_CALLS and not set(within) & ASIDE else ""
    if name in TEMPORARY or (name in PATH_CALLS and isinstance(call.func, ast.Attribute)):
        return name
    if name == "replace" and isinstance(call.func, ast.Attribute):
        return "replace" if len(call.args) == 1 and not call.keywords else ""
    if name in ("mkdtemp", "TemporaryDirectory"):
        return name if any(word.arg == "dir" for word in call.keywords) else ""
    if name in BY_NAME:
        return name if not set(within) & ASIDE else ""
    if module == "np" and name in ("save", "savez", "savez_compressed", "savetxt"):
        return "" if is_stream(call) or set(within) & (ASIDE | STREAMS) else f"np.{name}"
    return ""


def is_method(call: ast.Call) -> bool:
    """Return whether ``open`` is that of a path, which has no name as its first argument."""
    return isinstance(call.func, ast.Attribute) and module_of(call.func) not in ("os", "io")


def is_stream(call: ast.Call) -> bool:
    """Return whether the first argument is called as streams are."""
    return name_of(call.args[0]) in ("stream", "buffer", "array", "told", "said")


def found() -> Iterator[tuple[str, str, int]]:
    """Yield the file, the way and the line of each place that writes by itself."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(f"{HOME}/"):
            continue
        for call, within in calls(ast.parse(path.read_text(encoding="utf-8"))):
            if said := way(call, within):
                yield name, said, call.lineno


def test_no_module_writes_files_by_itself() -> None:
    wrong = [
        f"{name}:{line}: {said}" for name, said, line in found() if (name, said) not in ALLOWED
    ]
    assert not wrong, "write through napari_dre_slcl.atomic_file:\n" + "\n".join(wrong)


def test_nothing_is_allowed_that_is_not_done() -> None:
    done = {(name, said) for name, said, _ in found()}
    assert not ALLOWED.keys() - done


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "path.open('ab')",
        "path.open(mode='r+b')",
        "os.fdopen(handle, 'wb')",
        "path.write_text('a')",
        "os.replace(a, b)",
        "os.fsync(3)",
        "a.replace(b)",
        "a.rename(b)",
        "path.touch()",
        "tempfile.mkdtemp(dir=folder)",
        "np.save(path, x)",
        "npy.open_memmap(path, mode='w+')",
        "h5py.File(path, 'w')",
        "shutil.copyfile(a, b)",
        "tifffile.TiffWriter(path)",
    ],
)
def test_each_way_is_seen(line: str) -> None:
    assert any(way(call, within) for call, within in calls(ast.parse(line)))


@pytest.mark.parametrize("line", ["open(path)", "path.open('rb')", "a.replace('x', 'y')"])
def test_reading_is_not_taken_for_writing(line: str) -> None:
    assert not any(way(call, within) for call, within in calls(ast.parse(line)))
