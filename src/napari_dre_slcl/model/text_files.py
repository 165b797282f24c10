"""The files of a language model: where they are, what they are, how its tokens are pooled.

Loads no model, so that vectors that are kept already need none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.untrusted import UntrustedError, parse_json, read_json

__all__ = ["POOLING_MODES", "TextModelFiles", "find_text_model", "model_identity"]

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
INSTALL = "Install it with: pip install 'napari-dre-slcl[text]'."

# In the order in which sentence-transformers puts several of them side by side.
_FLAGS = dict(
    zip(
        (
            "pooling_mode_cls_token",
            "pooling_mode_max_tokens",
            "pooling_mode_mean_tokens",
            "pooling_mode_mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens",
            "pooling_mode_lasttoken",
        ),
        POOLING_MODES,
        strict=True,
    )
)
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_SMALL_FILES = ("*.json", "*.txt", "*.model")
_LONGEST_PATH = 200
_LONGEST_HEADER = 100 * 2**20  # that of the safetensors library
_FOREIGN = ("consolidated*", "original/*", "onnx/*", "openvino/*")


@dataclass(frozen=True, slots=True)
class TextModelFiles:
    """A language model on disk.

    Parameters
    ----------
    name : str
        As the user gave it.
    root : Path
        Its folder.
    folder : Path
        Where configuration, tokenizer and weights are; within ``root``.
    weights : tuple of Path
        Weight files.
    commit : str
        Revision of a hub model; empty for a folder.
    pooling : tuple of str
        How token vectors become one; several are put side by side.
    is_normalised : bool
        Whether each chunk's vector is scaled to unit length.
    unused : tuple of str
        Modules of a sentence-transformers folder that are left out.
    """

    name: str
    root: Path
    folder: Path
    weights: tuple[Path, ...]
    commit: str
    pooling: tuple[str, ...]
    is_normalised: bool
    unused: tuple[str, ...]

    def n_parameters(self) -> int:
        """Return how many numbers the weight files hold, without reading them."""
        return sum(_n_numbers(path) for path in self.weights)


def find_text_model(name: str) -> TextModelFiles:
    """Return the files of a model; a name is looked up in the hub and its local cache.

    Parameters
    ----------
    name : str
        Local folder in the layout of transformers or sentence-transformers, or a Hugging Face
        name, ``owner/model`` or ``owner/model@revision``.

    Raises
    ------
    ModelError
        If there is none, it cannot be had, or its files do not make sense.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(name, path, "")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(
            f"The language model '{name}' is no folder. Set text.model to a folder with "
            "config.json, tokenizer and weights, or to a Hugging Face name."
        )
    root = _from_hub(name)
    return _in_folder(name, root, root.name)


def model_identity(
    files: TextModelFiles, on_file: Callable[[int, int], None] = lambda done, total: None
) -> str:
    """Return what the model is: name and revision of a hub model, else a hash of all its files.

    Parameters
    ----------
    files : TextModelFiles
        The model.
    on_file : callable
        Told how many of how many files are read.
    """
    if files.commit:
        return f"{files.name.partition('@')[0]}@{files.commit}"
    places = {files.root, files.folder, *_module_folders(files.root)}
    small = (path for place in places for kind in _SMALL_FILES for path in place.glob(kind))
    paths = sorted({*small, *files.weights})
    digest = hashlib.sha256()
    for number, path in enumerate(paths):
        on_file(number, len(paths))
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.relative_to(files.root).as_posix()}\0{content}\n".encode())
    on_file(len(paths), len(paths))
    return f"sha256:{digest.hexdigest()}"


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError
    except ImportError as error:
        raise ModelError(
            f"The language model '{name}' needs the package huggingface_hub. {INSTALL}"
        ) from error
    repository, _, revision = name.partition("@")
    small = [*_SMALL_FILES, *(f"*/{kind}" for kind in _SMALL_FILES)]
    try:
        for weights in ("*.safetensors", "*.bin"):
            found = snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=[*small, weights],
                ignore_patterns=list(_FOREIGN),
            )
            if any(Path(found).rglob(weights)):
                break
    except GatedRepoError as error:
        raise ModelError(
            f"The language model '{name}' asks for its licence to be accepted: do so on its page, "
            "log in with 'hf auth login', or set text.model to a local folder."
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"The language model '{name}' is neither a folder nor to be had from the Hugging Face "
            f"hub or its local cache ({reason}). Set text.model to a local folder."
        ) from error
    return Path(found)


def _in_folder(name: str, root: Path, commit: str) -> TextModelFiles:
    modules = _modules(root)
    folder = root
    pooling: tuple[str, ...] = ("mean",)
    for module in modules:
        kind, place = str(module["type"]).rpartition(".")[2], _module_folder(root, module)
        if kind == "Transformer":
            folder = place
        elif kind == "Pooling":
            pooling = _pooling(place / "config.json")
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The folder '{folder}' holds no language model: it has no config.json. Set text.model "
            "to a folder that transformers or sentence-transformers wrote."
        )
    return TextModelFiles(
        name=name,
        root=root,
        folder=folder,
        weights=_weights(folder),
        commit=commit,
        pooling=pooling,
        is_normalised="Normalize" in kinds,
        unused=tuple(kind for kind in kinds if kind not in _KNOWN_MODULES),
    )


def _modules(root: Path) -> list[dict[str, Any]]:
    """Return the modules of a sentence-transformers folder; none for another one."""
    path = root / "modules.json"
    if not path.is_file():
        return []
    modules = _read_json(path)
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) and "type" in module for module in modules
    ):
        raise ModelError(f"'{path}' is no list of modules. Get the model's folder again.")
    return modules


def _module_folders(root: Path) -> list[Path]:
    return [_module_folder(root, module) for module in _modules(root)]


def _module_folder(root: Path, module: dict[str, Any]) -> Path:
    path = PurePath(str(module.get("path", "")))
    if path.is_absolute() or ".." in path.parts or len(str(path)) > _LONGEST_PATH:
        raise ModelError(
            f"'{root / 'modules.json'}' names '{str(path)[:60]}', outside its folder. Get the "
            "folder again."
        )
    return root / path


def _pooling(path: Path) -> tuple[str, ...]:
    config = _read_object(path)
    given = config.get("pooling_mode") or [
        mode for flag, mode in _FLAGS.items() if config.get(flag)
    ]
    modes = (given,) if isinstance(given, str) else tuple(given or ("mean",))
    unknown = [mode for mode in modes if mode not in POOLING_MODES]
    if unknown:
        raise ModelError(
            f"'{path}' asks for the pooling '{unknown[0]}', which is none of "
            f"{', '.join(POOLING_MODES)}. Choose another text.model."
        )
    return modes


def _weights(folder: Path) -> tuple[Path, ...]:
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        found = sorted(p for p in folder.glob(pattern) if not p.name.startswith("consolidated"))
        if found:
            return tuple(found)
    raise ModelError(
        f"The language model in '{folder}' has no weights: neither model.safetensors nor "
        "pytorch_model.bin. Get its folder again."
    )


def _n_numbers(path: Path) -> int:
    if path.suffix == ".safetensors":
        # The format begins with the length of a JSON header that has the shape of each tensor.
        try:
            tensors = _header(path)
            return sum(
                math.prod(tensor["shape"])
                for name, tensor in tensors.items()
                if name != "__metadata__"
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"The weights '{path}' are damaged. Get the file again.") from error
    config = _read_object(path.with_name("config.json"))
    is_half = str(config.get("dtype", config.get("torch_dtype", ""))).endswith("16")
    return path.stat().st_size // (2 if is_half else 4)


def _header(path: Path) -> Any:
    with path.open("rb") as stream:
        n_bytes = int.from_bytes(stream.read(8), "little")
        if n_bytes > _LONGEST_HEADER:
            raise UntrustedError(f"its header claims {n_bytes:,} bytes")
        return parse_json(stream.read(n_bytes))


def _read_object(path: Path) -> dict[str, Any]:
    found = _read_json(path)
    if not isinstance(found, dict):
        raise ModelError(f"'{path}' holds no settings of a model. Get the file again.")
    return found


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{path}' cannot be read as JSON ({error}). Get the file again."
        ) from error
