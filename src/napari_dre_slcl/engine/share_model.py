"""A model as a folder to give away: its weights, its header without paths, and a card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import atomic_folder, write_bytes, write_json, write_text
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.insight.codeword_names import model_folder
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.model.hub_card import hub_card
from napari_dre_slcl.untrusted import UntrustedError, inside, read_json

__all__ = ["share_model"]

_WORDS = "text"
_PATHS = (
    ("features", "folder"),
    ("features", "fill_from"),
    ("encoder", "weights"),
    ("text", "vectors"),
    ("text", "cache"),
    ("text", "model"),
)
"""Settings that may be paths of the machine that trained: of these the last part stays."""
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")


def share_model(
    model: Path,
    out: Path,
    licence: str,
    name: str,
    tags: Sequence[str] = (),
    with_words: bool = False,
) -> Path:
    """Write a folder that the Hugging Face hub takes and that `predict` takes when it comes back.

    Parameters
    ----------
    model : Path
        Run folder, or the model folder in it.
    out : Path
        The folder; must not exist.
    licence : str
        As the hub names it, such as ``cc-by-4.0``.
    name : str
        What the model is called.
    tags : sequence of str
        Beside the usual ones.
    with_words : bool
        Whether the words that the training reports share go along, so that phrases can be asked.

    Returns
    -------
    Path
        ``out``: ``model.safetensors``, ``model.json``, ``README.md``, and perhaps ``text``.

    Raises
    ------
    ModelError
        If the model cannot be loaded, the licence is no name of one, or the folder exists or
        cannot be written.
    """
    if not _LICENCE.fullmatch(licence):
        raise ModelError(
            f"'{licence}' is no name of a licence as hubs write it. Give one such as cc-by-4.0, "
            "apache-2.0 or other."
        )
    if out.exists():
        raise ModelError(f"The folder '{out}' exists already. Choose another.")
    source = model_folder(model)
    load_bundle(source)  # whole, and of this version
    header = _without_paths(read_json(inside(source, "model.json")))
    if not with_words:
        header.pop("text_sha256", None)
    metrics = _metrics(source)
    try:
        with atomic_folder(out) as aside:
            _copy_parts(source, aside, with_words=bool(header.get("text_sha256")))
            write_json(aside / "model.json", header)
            write_text(aside / "README.md", hub_card(header, name, licence, tags, metrics))
    except UntrustedError as error:
        raise ModelError(f"The model '{model}' is not copied: {error}.") from error
    except OSError as error:
        raise ModelError(f"The folder '{out}' cannot be written: {error.strerror}.") from error
    return out


def _copy_parts(source: Path, target: Path, *, with_words: bool) -> None:
    _copy(source, target, "model.safetensors")
    if with_words:
        for file in sorted((source / _WORDS).iterdir()):
            _copy(source, target, _WORDS, file.name)


def _copy(source: Path, target: Path, *names: str) -> None:
    write_bytes(target.joinpath(*names), inside(source, *names).read_bytes())


def _without_paths(header: dict[str, Any]) -> dict[str, Any]:
    for section, key in _PATHS:
        value = header["config"].get(section, {}).get(key)
        is_path = isinstance(value, str) and (key != "model" or _is_local(value))
        if is_path:
            header["config"][section][key] = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    text = header.get("text_encoder")
    if isinstance(text, dict) and isinstance(text.get("model"), str) and _is_local(text["model"]):
        text["model"] = re.split(r"[/\\]", text["model"].rstrip("/\\"))[-1]
    return header


def _is_local(name: str) -> bool:
    """Whether a model of the hub (OWNER/NAME) is a folder of this machine after all."""
    return len(re.split(r"[/\\]", name)) > 2 or name.startswith((".", "~", "/"))


def _metrics(source: Path) -> Mapping[str, Any]:
    """Return the figures of the run that made the model, where it lies beside it."""
    try:
        found = read_json(source.parent / "metrics.json")
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
