"""A frozen language model that turns reports into vectors; a long report is read in chunks.

Follows transformers and sentence-transformers folders, encoders and decoders alike. Knows nothing
of cohorts or caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.text_chunks import Chunk, batches_of, pad_chunks, split_text
from napari_dre_slcl.model.text_files import INSTALL, TextModelFiles
from napari_dre_slcl.model.text_pooling import pool_tokens
from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

__all__ = ["Embedded", "LanguageModel", "load_language_model"]

# Tokens of a padded batch: enough to keep the device busy, little beside a model of 7e9 numbers.
_BATCH_TOKENS = {"cpu": 4096, "cuda": 16_384}
_UNLIMITED = 1_000_000
_NOT_USED = ("pooler.", "decoder.", "lm_head.", "cls.", "qa_outputs.", "classifier.")


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Reports as vectors.

    Parameters
    ----------
    vectors : ndarray
        (n, dim) float32 unit rows; zeros for a text without tokens.
    n_chunks : tuple of int
        How many chunks each text was read in.
    """

    vectors: NDArray[np.float32]
    n_chunks: tuple[int, ...]


class LanguageModel:
    """A model that is ready to read.

    Parameters
    ----------
    net : torch.nn.Module
        Gives ``last_hidden_state``.
    tokenizer : transformers.PreTrainedTokenizerFast
        Its tokenizer.
    kind : {"huggingface", "llama"}
        ``huggingface`` pools as the files say, over all tokens as sentence-transformers does.
        ``llama`` takes the mean over the report's own tokens: the state at the start token does
        not depend on the report.
    files : TextModelFiles
        Says how token vectors are pooled.
    chunk_tokens : int
        Longest stretch read at once, special tokens among them.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        tokenizer: Any,
        kind: Literal["huggingface", "llama"],
        files: TextModelFiles,
        chunk_tokens: int,
    ) -> None:
        self._net = net
        self._tokenizer = tokenizer
        self._is_llama = kind == "llama"
        self._modes = ("mean",) if self._is_llama else files.pooling
        self._is_normalised = files.is_normalised and not self._is_llama
        self.name = files.name
        self._device = next(net.parameters()).device
        self._pad_id = _pad_id(net, tokenizer)
        self.chunk_tokens = chunk_tokens

    @property
    def dim(self) -> int:
        """Width of a report vector."""
        config: Any = self._net.config
        return int(config.hidden_size) * len(self._modes)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) unit vectors; zeros for a text without tokens."""
        return self.embed(texts).vectors

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Read texts whole: vectors of chunks are averaged, weighted by their real tokens.

        Raises
        ------
        ModelError
            If a vector is not finite, or one chunk does not fit the device's memory.
        """
        chunks = [split_text(self._tokenizer, text, self.chunk_tokens) for text in texts]
        flat = [chunk for of_text in chunks for chunk in of_text]
        # On the CPU a report is read by itself, so that its bits do not depend on its neighbours;
        # a GPU would idle, and does not promise the same bits anyway.
        groups = chunks if self._device.type == "cpu" else [flat]
        states = [self._read(group) for group in groups if group]
        sums = torch.zeros(len(texts), self.dim)
        if flat:
            owner = torch.tensor([n for n, of_text in enumerate(chunks) for _ in of_text])
            weight = torch.tensor([float(chunk.n_real) for chunk in flat])
            sums.index_add_(0, owner, torch.cat(states) * weight[:, None])
        vectors = functional.normalize(sums, dim=1)
        return Embedded(vectors.numpy(), tuple(len(of_text) for of_text in chunks))

    def _read(self, chunks: Sequence[Chunk]) -> Tensor:
        """Return (n, dim) float32 vectors of chunks, on the CPU."""
        vectors = torch.empty(len(chunks), self.dim)
        most = _BATCH_TOKENS.get(self._device.type, _BATCH_TOKENS["cpu"])
        for batch in batches_of(chunks, most):
            vectors[batch] = self._read_batch([chunks[number] for number in batch])
        if not vectors.isfinite().all():
            raise ModelError(
                f"The language model '{self.name}' gives numbers that are not finite in "
                f"{self._net.dtype}. Its weights are damaged or made for another precision; "
                "choose another text.model, or set training.device=cpu."
            )
        return vectors

    def _read_batch(self, chunks: Sequence[Chunk]) -> Tensor:
        try:
            return self._forward(chunks)
        except torch.cuda.OutOfMemoryError as error:
            if len(chunks) == 1:
                raise ModelError(
                    f"The GPU has too little memory for the language model '{self.name}'. Set a "
                    "smaller text.chunk_tokens, or choose a smaller text.model."
                ) from error
        half = len(chunks) // 2
        return torch.cat([self._read_batch(chunks[:half]), self._read_batch(chunks[half:])])

    @torch.inference_mode()
    def _forward(self, chunks: Sequence[Chunk]) -> Tensor:
        ids, is_token, is_real = (
            tensor.to(self._device) for tensor in pad_chunks(chunks, self._pad_id)
        )
        states = self._net(input_ids=ids, attention_mask=is_token).last_hidden_state.float()
        pooled = pool_tokens(states, is_real if self._is_llama else is_token, self._modes)
        if self._is_normalised:
            pooled = functional.normalize(pooled, dim=1)
        return pooled.cpu()


def load_language_model(
    files: TextModelFiles,
    *,
    kind: Literal["huggingface", "llama"],
    chunk_tokens: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> LanguageModel:
    """Load a frozen model and its tokenizer from their folder; nothing is fetched.

    Parameters
    ----------
    files : TextModelFiles
        As `find_text_model` found them.
    kind : {"huggingface", "llama"}
        How its states are pooled; see `LanguageModel`.
    chunk_tokens : int or None
        Tokens read at once; None takes as many as the model's positions hold.
    dtype : torch.dtype
        Precision of the weights.
    device : torch.device
        Where it computes.

    Raises
    ------
    ModelError
        If transformers is missing, or the folder is damaged or of an unknown kind.
    ConfigError
        If ``chunk_tokens`` is more than the model was made for.
    """
    tokenizer, net = _from_folder(files, dtype, device)
    if not tokenizer.is_fast:
        raise ModelError(
            f"The language model '{files.name}' has no tokenizer.json, which long reports need. "
            "Save it with transformers' AutoTokenizer.save_pretrained."
        )
    net.config.use_cache = False
    net.requires_grad_(False).eval()
    most = _most_tokens(net, tokenizer)
    _check_chunk(files, chunk_tokens, most)
    return LanguageModel(net, tokenizer, kind, files, chunk_tokens or most)


def _from_folder(
    files: TextModelFiles, dtype: torch.dtype, device: torch.device
) -> tuple[Any, Any]:
    """Return the tokenizer and the (encoder part of the) network of a folder."""
    transformers = _transformers()
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _silent(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(files.folder, **where)
            net, found = transformers.AutoModel.from_pretrained(
                files.folder, dtype=dtype, output_loading_info=True, **where
            )
            _check_complete(files, found["missing_keys"])
            net = net.get_encoder() if net.config.is_encoder_decoder else net
            return tokenizer, net.to(device)
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(
            f"The GPU has too little memory for the language model '{files.name}'. Choose a "
            "smaller text.model, or make the vectors elsewhere and set text.vectors."
        ) from error
    except _load_errors() as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"The language model '{files.name}' cannot be loaded: {reason}. Get its folder again, "
            "or choose another text.model."
        ) from error


def _transformers() -> Any:
    ensure_torchvision()  # transformers imports it where it is installed
    try:
        import transformers
    except ImportError as error:
        raise ModelError(f"Language models need the package transformers. {INSTALL}") from error
    return transformers


def _load_errors() -> tuple[type[Exception], ...]:
    from safetensors import SafetensorError

    # What transformers, tokenizers and torch raise for folders that are damaged or unknown.
    return (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, SafetensorError)


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """Keep transformers' bars and reports out of the job's output."""
    logging = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def _check_complete(files: TextModelFiles, missing: Sequence[str]) -> None:
    """Refuse weights that lack a part that is used: transformers fills it with random numbers."""
    lacking = sorted(name for name in missing if not name.startswith(_NOT_USED))
    if lacking:
        raise ModelError(
            f"The weights of the language model '{files.name}' lack {len(lacking)} tensors, among "
            f"them '{lacking[0]}', so they do not belong to its config.json. Get its folder again."
        )


def _most_tokens(net: torch.nn.Module, tokenizer: Any) -> int:
    """Return how many tokens the model was made for, special ones among them.

    The length that sentence-transformers stores is often shorter, and would cut reports.
    """
    config: Any = net.config
    stated = getattr(config, "max_position_embeddings", None) or getattr(
        config, "n_positions", None
    )
    if stated is None:
        limit = int(tokenizer.model_max_length)
        return limit if limit < _UNLIMITED else 512
    taken = [
        table.padding_idx + 1  # RoBERTa's positions begin after its padding index
        for name, table in net.named_modules()
        if name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None
    ]
    return int(stated) - max(taken, default=0)


def _check_chunk(files: TextModelFiles, chunk_tokens: int | None, most: int) -> None:
    if chunk_tokens is not None and chunk_tokens > most:
        raise ConfigError(
            f"text.chunk_tokens={chunk_tokens} is more than the {most} tokens that the language "
            f"model '{files.name}' was made for. Leave it empty, or set {most} or less."
        )


def _pad_id(net: torch.nn.Module, tokenizer: Any) -> int:
    """Return a token for padding; which one is no matter where the model masks it."""
    config: Any = net.config
    for candidate in (config.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(candidate, int) and 0 <= candidate < int(config.vocab_size):
            return candidate
    return 0
