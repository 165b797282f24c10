"""How fresh the memory bank is: figures of each process's rows, and of all together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from napari_dre_slcl.model.bank_shape import Arrays

__all__ = ["ages_of", "bank_summary", "tally_rows"]


def ages_of(written: Tensor, step: int) -> Tensor:
    """Return the number of steps since each row was written."""
    return step - written.long()


def tally_rows(arrays: Arrays, step: int, since: int) -> dict[str, float]:
    """Add up over rows: ``drift`` of the ``recent``, written at ``since`` or later; ``age``."""
    written, drift = arrays["written"], arrays["drift"]
    recent = drift[written >= since]
    return {
        "drift": float(recent.double().sum()),
        "recent": float(len(recent)),
        "age": float(step * len(written) - written.double().sum()),
        "tiles": float(len(written)),
    }


def bank_summary(tallies: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean ``drift`` of recent rows, 1 without any, and the mean ``age``.

    Parameters
    ----------
    tallies : iterable of mapping
        What `MemoryBank.tally` returned in each process.
    """
    parts = list(tallies)
    total = {
        name: sum(part[name] for part in parts) for name in ("drift", "recent", "age", "tiles")
    }
    return {
        "drift": total["drift"] / total["recent"] if total["recent"] else 1.0,
        "age": total["age"] / total["tiles"] if total["tiles"] else 0.0,
    }
