"""Random numbers that depend on a seed and on where the run stands, never on what was drawn before.

A run that goes on from a checkpoint then draws what it would have drawn, and no random state has to
be kept.
"""

from __future__ import annotations

import hashlib

import torch

__all__ = ["mixed", "seed_everything", "seeded"]


def seeded(seed: int, *counters: int | str) -> torch.Generator:
    """Return a CPU generator for one choice at one place of a run.

    Parameters
    ----------
    seed : int
        The run's ``training.seed``.
    *counters : int or str
        What is drawn and where, such as ``"fresh", epoch, slide``.
    """
    return torch.Generator().manual_seed(mixed(seed, counters))


def seed_everything(seed: int, *counters: int | str) -> None:
    """Seed torch's own generators, which dropout draws from."""
    torch.manual_seed(mixed(seed, counters))


def mixed(seed: int, counters: tuple[int | str, ...]) -> int:
    """Return 63 bits of a hash; neighbouring seeds and counters have nothing in common."""
    text = "\x1f".join([str(seed), *(f"{type(c).__name__}:{c}" for c in counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
