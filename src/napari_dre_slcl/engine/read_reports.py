"""Reports read by a frozen language model, once: what is read is kept, whatever happens next."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl.cohort.vector_cache import VectorCache, cache_folder
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.config.data import TextConfig
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.memory import available_memory
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.text_encoder import LanguageModel, load_language_model
from napari_dre_slcl.model.text_files import TextModelFiles, find_text_model, model_identity

__all__ = ["read_reports"]

# Raise it whenever the same files and settings give other vectors than before.
_VERSION = 1
_STAGE = "Reading reports"
_GROUP = {"huggingface": 16, "llama": 4}
_SAVE_EVERY_S = 20.0
_ROOM_BESIDE_WEIGHTS = 1.1


def read_reports(
    texts: Sequence[str], config: DreSlclConfig, reporter: Reporter
) -> NDArray[np.float32]:
    """Return (n, dim) unit vectors of texts by the language model; zeros for an empty text.

    Equal texts are read once. Vectors that are kept from before are taken without loading the
    model. When the user stops, what has been read is kept.

    Parameters
    ----------
    texts : sequence of str
        Reports after cleaning; at least one is not empty.
    config : DreSlclConfig
        Settings.
    reporter : Reporter
        Told the progress.

    Raises
    ------
    ModelError, ConfigError
        If the model cannot be used.
    Stopped
        If the user stops.
    """
    files = find_text_model(str(config.text.model))
    identity = model_identity(
        files, lambda done, total: reporter.progress("Checking the language model", done, total)
    )
    # Longest first: what does not fit in memory is found at the start.
    unique = sorted({text for text in texts if text}, key=lambda text: (-len(text), text))
    device = choose_device(config.training.device)
    kept = {
        dtype: _open_cache(config.text, files, identity, dtype, reporter)
        for dtype in _precisions(config.text, device)
    }
    full = [c for c in kept.values() if all(c.get(text) is not None for text in unique)]
    if full:
        cache = full[0]
        reporter.log(f"{len(unique)} different reports: their vectors are kept in '{cache.path}'.")
    else:
        dtype = _fitting(files, tuple(kept), device)
        cache = kept[dtype]
        _read_missing(unique, cache, _Reading(files, config.text, dtype, device), reporter)
    known = {text: cache.get(text) for text in unique}
    blank = np.zeros_like(known[unique[0]])
    return np.stack([known.get(text, blank) for text in texts]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the model is to read."""

    files: TextModelFiles
    text: TextConfig
    dtype: torch.dtype
    device: torch.device

    def load(self) -> LanguageModel:
        return load_language_model(
            self.files,
            kind="llama" if self.text.encoder == "llama" else "huggingface",
            chunk_tokens=self.text.chunk_tokens,
            dtype=self.dtype,
            device=self.device,
        )


def _open_cache(
    text: TextConfig, files: TextModelFiles, identity: str, dtype: torch.dtype, reporter: Reporter
) -> VectorCache:
    # Kind and pooling make the width, and all vectors of a file have the same.
    model = f"{text.encoder} {'+'.join(files.pooling)} {identity}"
    settings = json.dumps([_VERSION, text.chunk_tokens, str(dtype)])
    cache = VectorCache(text.cache or cache_folder(), model, settings)
    reporter.warn_once(cache.problem)
    return cache


def _precisions(text: TextConfig, device: torch.device) -> tuple[torch.dtype, ...]:
    """Return the precisions that are possible, the best first."""
    if device.type == "cpu":
        return (torch.float32, torch.bfloat16)
    return (torch.float16,) if text.encoder == "llama" else (torch.float32, torch.float16)


def _fitting(
    files: TextModelFiles, dtypes: Sequence[torch.dtype], device: torch.device
) -> torch.dtype:
    """Return the best precision whose weights fit in memory."""
    if device.type == "cuda":
        free: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        free = available_memory()
    n_numbers = files.n_parameters()
    needs = [_ROOM_BESIDE_WEIGHTS * n_numbers * dtype.itemsize for dtype in dtypes]
    for dtype, need in zip(dtypes, needs, strict=True):
        if free is None or need <= free:
            return dtype
    raise ModelError(
        f"The language model '{files.name}' needs {needs[-1] / 1e9:.1f} GB of memory and "
        f"{(free or 0) / 1e9:.1f} GB are free on '{device.type}'. Choose a smaller text.model, or "
        "make the vectors on another machine and set text.vectors."
    )


def _read_missing(
    unique: Sequence[str], cache: VectorCache, reading: _Reading, reporter: Reporter
) -> None:
    missing = [text for text in unique if cache.get(text) is None]
    reporter.progress(_STAGE, 0, len(missing), reading.files.name)
    for module in reading.files.unused:
        reporter.log(f"The module '{module}' of '{reading.files.name}' is left out.", "warning")
    model = reading.load()
    try:
        n_chunks = _embed_groups(missing, cache, model, _GROUP[reading.text.encoder], reporter)
    finally:
        reporter.warn_once(cache.save())
    n_long = sum(n > 1 for n in n_chunks)
    long = (
        f"{n_long} are longer than {model.chunk_tokens} tokens and were read whole, in up to "
        f"{max(n_chunks)} chunks."
        if n_long
        else f"None is longer than {model.chunk_tokens} tokens."
    )
    n_kept = len(unique) - len(missing)
    others = f", the vectors of {n_kept} others were kept from before" if n_kept else ""
    precision = str(reading.dtype).removeprefix("torch.")
    reporter.log(f"{len(missing)} different reports were read in {precision}{others}. {long}")
    del model
    gc.collect()
    if reading.device.type == "cuda":
        torch.cuda.empty_cache()


def _embed_groups(
    missing: Sequence[str], cache: VectorCache, model: LanguageModel, size: int, reporter: Reporter
) -> list[int]:
    """Fill the cache, and return in how many chunks each text was read."""
    n_chunks: list[int] = []
    saved = time.monotonic()
    for start in range(0, len(missing), size):
        part = missing[start : start + size]
        embedded = model.embed(part)
        cache.add(part, embedded.vectors)
        n_chunks += embedded.n_chunks
        if time.monotonic() - saved > _SAVE_EVERY_S:
            reporter.warn_once(cache.save())
            saved = time.monotonic()
        reporter.progress(_STAGE, len(n_chunks), len(missing), model.name)
    return n_chunks
