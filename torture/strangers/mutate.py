"""Change a file as damage and malice do: its bytes, or its meaning with its form kept."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["mutate"]

_WORDS: tuple[Any, ...] = (
    None,
    True,
    "",
    "..",
    "../../secret.npz",
    "/etc/passwd",
    "C:\\x",
    "=1+1",
    "<script>alert(1)</script>",
    "\x00",
    "\ud800",
    "a" * 5000,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**12,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"a": {}},
    [1, 2, 3],
    "hf-hub:a/b",
)
_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def mutate(path: Path, chance: random.Random) -> None:
    """Change a file, or one file of a folder, in place.

    Parameters
    ----------
    path : Path
        File or folder.
    chance : Random
        Says how.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    file = chance.choice(files)
    how = _BY_SUFFIX.get(file.suffix)
    if how is not None and chance.random() < 0.6:
        how(file, chance)
    else:
        for _ in range(chance.choice((1, 1, 2, 8))):
            _bytes(file, chance)
    if chance.random() < 0.7:
        _correct_hashes(path)


def _bytes(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content)) if content else 0
    kind = chance.randrange(6)
    if kind == 0 and content:
        content[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        width = chance.choice("BHIQ")
        number = chance.choice(_NUMBERS) % 2 ** (8 * struct.calcsize(width))
        packed = struct.pack(chance.choice("<>") + width, number)
        content[place : place + len(packed)] = packed
    elif kind == 3:
        other = chance.randrange(len(content)) if content else 0
        content[place:place] = content[other : other + chance.randrange(1, 64)]
    elif kind == 4:
        del content[place : place + chance.randrange(1, 64)]
    else:
        content[place:place] = chance.randbytes(chance.randrange(1, 32))
    file.write_bytes(content)


def _json(file: Path, chance: random.Random) -> None:
    try:
        value = json.loads(file.read_bytes())
    except ValueError:
        return
    file.write_text(json.dumps(_changed(value, chance)), encoding="utf-8", errors="surrogatepass")


def _changed(value: Any, chance: random.Random) -> Any:
    """Return a value of which one part is another, taken away or added."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        kind = chance.randrange(8)
        if kind == 0:
            return {name: one for name, one in value.items() if name != key}
        if kind == 1:
            return value | {chance.choice(("x", "__class__", "..", "")): chance.choice(_WORDS)}
        return value | {key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        kind = chance.randrange(6)
        if kind == 0:
            return value[:place] + value[place + 1 :]
        if kind == 1:
            return [*value, value[place]]
        return [*value[:place], _changed(value[place], chance), *value[place + 1 :]]
    return chance.choice(_WORDS)


def _lines(file: Path, chance: random.Random) -> None:
    rows = file.read_text(encoding="utf-8", errors="replace").splitlines()
    if not rows:
        return
    place = chance.randrange(len(rows))
    separator = "=" if file.suffix == ".toml" else ","
    cells = rows[place].split(separator)
    cells[chance.randrange(len(cells))] = str(chance.choice(_WORDS))
    rows[place] = separator.join(cells)
    file.write_text("\n".join(rows), encoding="utf-8", errors="replace")


def _npz(file: Path, chance: random.Random) -> None:
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    name = chance.choice(sorted(arrays))
    if name == "header" and chance.random() < 0.9:
        header = json.loads(str(arrays["header"]))
        text = json.dumps(_changed(header, chance)).encode("utf-8", "replace").decode()
        arrays["header"] = np.array(text)
    elif chance.random() < 0.1:
        del arrays[name]
    else:
        arrays[name] = _other(arrays[name], chance)
    np.savez(file, **arrays)


def _npy(file: Path, chance: random.Random) -> None:
    np.save(file, _other(np.load(file, allow_pickle=False), chance), allow_pickle=False)


def _other(array: Any, chance: random.Random) -> Any:
    """Return an array of another shape, type or content."""
    flat = array.ravel()
    changes: list[Callable[[], Any]] = [
        lambda: array[..., None],
        lambda: array[:0],
        lambda: flat[:1].reshape(()) if flat.size else array,
        lambda: array.T,
        lambda: array[:-1],
        lambda: np.concatenate([array, array]),
        lambda: array.astype("<U7"),
        lambda: array.astype(np.complex64),
        lambda: array.astype(np.int8),
        lambda: array.astype(np.float64) * np.inf,
        lambda: np.full(array.shape, np.nan, np.float32),
        lambda: np.full(array.shape, -(2**31), np.int64),
        lambda: np.full(array.shape, 2**62, np.int64),
        lambda: np.zeros(array.shape, [("a", "<f4"), ("b", "<i4", (3,))]),
        lambda: np.zeros((10**6, 0), np.float32),
        lambda: np.zeros((1,) * 20, np.float32),
        lambda: np.array("text"),
    ]
    with np.errstate(all="ignore"):
        try:
            return chance.choice(changes)()
        except (ValueError, TypeError, IndexError):
            return np.zeros(0)


def _hdf5(file: Path, chance: random.Random) -> None:
    import h5py

    with h5py.File(file, "r+") as stored:
        name = chance.choice(sorted(stored))
        array = stored[name][()]
        del stored[name]
        try:
            stored[name] = _other(np.asarray(array), chance)
        except (TypeError, ValueError):
            stored[name] = chance.choice(("text", 7, np.zeros((0, 4))))
        if chance.random() < 0.3:
            word = chance.choice(
                [w for w in _WORDS if isinstance(w, int | float) and w is not None]
            )
            stored[name].attrs["patch_size_level0"] = float(word) if abs(word) > 2**60 else word


def _safetensors(file: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(_changed(header, chance)).encode("utf-8", "replace")
    size = chance.choice((len(text), len(text), len(text), 2**40, 2**64 - 1, 0))
    file.write_bytes(size.to_bytes(8, "little") + text + content[8 + length :])


def _head(file: Path, chance: random.Random) -> None:
    """Put numbers where a file says how long its parts are."""
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1, 2))):
        place = chance.randrange(min(200, len(content)))
        content[place : place + 8] = struct.pack("<Q", chance.choice(_NUMBERS))
    file.write_bytes(content)


def _foot(file: Path, chance: random.Random) -> None:
    """Change what a Parquet file says of itself at its end, and the heads of its pages."""
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    for _ in range(chance.choice((1, 1, 2, 8))):
        first = chance.choice((4, max(4, len(content) - 8 - length)))
        place = chance.randrange(first, max(first + 1, len(content) - 8))
        content[place] = chance.choice((content[place] ^ 1 << chance.randrange(8), 0, 127, 255))
    file.write_bytes(content)


def _zip(file: Path, chance: random.Random) -> None:
    """Change what is packed in an archive, and pack it again."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(parts))
    inner = file.with_suffix(".part")
    inner.write_bytes(parts[name])
    for _ in range(chance.choice((1, 3))):
        _bytes(inner, chance)
    parts[name] = inner.read_bytes()
    inner.unlink()
    with zipfile.ZipFile(file, "w") as archive:
        for one, content in parts.items():
            archive.writestr(one, content)


def _correct_hashes(path: Path) -> None:
    """Bring the hashes of a model folder into line: who makes a hostile one would."""
    header = path / "model.json"
    try:
        said = json.loads(header.read_bytes())
        if "weights_sha256" in said:
            weights = (path / "model.safetensors").read_bytes()
            said["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        for name in said.get("text_sha256", {}):
            said["text_sha256"][name] = hashlib.sha256(
                (path / "text" / name).read_bytes()
            ).hexdigest()
        header.write_text(json.dumps(said))
    except (OSError, ValueError, TypeError, AttributeError):
        return


_BY_SUFFIX: dict[str, Callable[[Path, random.Random], None]] = {
    ".json": _json,
    ".toml": _lines,
    ".csv": _lines,
    ".jsonl": _lines,
    ".npz": _npz,
    ".npy": _npy,
    ".h5": _hdf5,
    ".safetensors": _safetensors,
    ".xlsx": _zip,
    ".parquet": _foot,
    ".faiss": _head,
    ".ivf": _head,
    ".pth": _zip,
}
