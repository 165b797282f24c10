"""Long texts as chunks of tokens, none of them lost, and chunks as batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Chunk", "batches_of", "pad_chunks", "split_text"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a text, with the model's special tokens around it.

    Parameters
    ----------
    ids : tuple of int
        Tokens.
    is_special : tuple of bool
        Which of them are not from the text.
    """

    ids: tuple[int, ...]
    is_special: tuple[bool, ...]

    @property
    def n_real(self) -> int:
        """How many tokens are from the text."""
        return len(self.ids) - sum(self.is_special)


def split_text(tokenizer: Any, text: str, chunk_tokens: int) -> list[Chunk]:
    """Split a text into chunks of at most ``chunk_tokens`` tokens, special ones among them.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        The model's.
    text : str
        Text; one without any token gives no chunk.
    chunk_tokens : int
        Longest chunk.
    """
    coded = tokenizer(
        text,
        truncation=True,
        max_length=chunk_tokens,
        stride=0,
        padding=False,
        return_overflowing_tokens=True,
        return_special_tokens_mask=True,
    )
    chunks = [
        Chunk(tuple(ids), tuple(bool(special) for special in mask))
        for ids, mask in zip(coded["input_ids"], coded["special_tokens_mask"], strict=True)
    ]
    return [chunk for chunk in chunks if chunk.n_real]


def batches_of(chunks: Sequence[Chunk], most_tokens: int) -> Iterator[list[int]]:
    """Yield the numbers of chunks that are read together, longest first.

    Parameters
    ----------
    chunks : sequence of Chunk
        Chunks in any order.
    most_tokens : int
        Bound on a padded batch; a single chunk may exceed it.
    """
    order = sorted(range(len(chunks)), key=lambda number: -len(chunks[number].ids))
    batch: list[int] = []
    for number in order:
        if batch and len(chunks[batch[0]].ids) * (len(batch) + 1) > most_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def pad_chunks(chunks: Sequence[Chunk], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, the mask of tokens and the mask of real tokens, each (n, length) int64."""
    length = max(len(chunk.ids) for chunk in chunks)
    ids = torch.full((len(chunks), length), pad_id)
    is_token = torch.zeros_like(ids)
    is_real = torch.zeros_like(ids)
    for row, chunk in enumerate(chunks):
        ids[row, : len(chunk.ids)] = torch.tensor(chunk.ids)
        is_token[row, : len(chunk.ids)] = 1
        is_real[row, : len(chunk.ids)] = 1 - torch.tensor(chunk.is_special, dtype=torch.int64)
    return ids, is_token, is_real
