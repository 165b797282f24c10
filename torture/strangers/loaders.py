"""Look through the source for calls that could run what a file holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_loaders", "loaders_in"]

_ROOT = Path(__file__).parents[2]
# What makes hostile files, and what makes the changed copies of honest ones.
_MAKERS = ("torture/strangers/corpus/", "torture/strangers/mutate.py")
_MODULES = frozenset(
    [
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "yaml",
        "jsonpickle",
        "_pickle",
        "cPickle",
        "imp",
        "runpy",
    ]
)
_BUILTINS = frozenset({"eval", "exec", "compile", "__import__"})
_CALLS = frozenset(
    {
        "read_pickle",
        "to_pickle",
        "unsafe_load",
        "full_load",
        "hub.load",
        "jit.load",
        "os.system",
        "os.popen",
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "np.load",
        "numpy.load",
        "npy.read_array",
        "format.read_array",
        "broadcast_object_list",
        "all_gather_object",
        "gather_object",
        "scatter_object_list",
        "broadcast_object",
    }
)
_SWITCHES = frozenset({"allow_pickle", "trust_remote_code", "shell"})


def find_loaders() -> tuple[int, list[str]]:
    """Return how many files were looked through, and where such calls are."""
    found: list[str] = []
    files = sorted([*(_ROOT / "src").rglob("*.py"), *(_ROOT / "torture").rglob("*.py")])
    for path in files:
        place = path.relative_to(_ROOT).as_posix()
        if not place.startswith(_MAKERS):
            calls = loaders_in(path.read_text("utf-8"), is_ours=place.startswith("torture/"))
            found += [f"{place}:{line} {what}" for line, what in calls]
    return len(files), found


def loaders_in(source: str, *, is_ours: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line and name of each call of a source that could run what a file holds.

    Parameters
    ----------
    source : str
        Of a module.
    is_ours : bool
        Whether it reads only what it has written itself: ``np.load`` may stand there, without
        pickles.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node)
        elif isinstance(node, ast.Call):
            what = _called(node, is_ours)
            if what:
                yield node.lineno, what


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.ImportFrom):
        if node.module == "pickle":  # by its own name, so that what is called of it is seen
            yield node.lineno, "from pickle import"
        names = [node.module or ""]
    else:
        names = [one.name for one in node.names]
        if any(one.name == "pickle" and one.asname for one in node.names):
            yield node.lineno, "import pickle as"
    for name in names:
        if name.partition(".")[0] in _MODULES:
            yield node.lineno, f"import {name}"


def _called(node: ast.Call, is_ours: bool) -> str:
    """Return what is called, where that could run code; empty for nothing."""
    name = _name(node.func)
    last_two = ".".join(name.split(".")[-2:])
    if isinstance(node.func, ast.Name) and name in _BUILTINS:
        return name
    is_load = last_two in ("np.load", "numpy.load")
    if is_load and is_ours and any(word.arg == "allow_pickle" for word in node.keywords):
        pass
    elif last_two in _CALLS or name.split(".")[-1] in _CALLS:
        return name
    switches = {word.arg: word.value for word in node.keywords}
    for switch in _SWITCHES & switches.keys():
        value = switches[switch]
        if not (isinstance(value, ast.Constant) and value.value is False):
            return f"{name}({switch}=...)"
    if last_two == "torch.load":
        value = switches.get("weights_only", ast.Constant(False))
        if not (isinstance(value, ast.Constant) and value.value is True):
            return f"{name} without weights_only=True"
    return ""


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
