"""A bank that nobody has filled takes no memory, however large it is to be."""

from __future__ import annotations

from napari_dre_slcl.model.memory_bank import MemoryBank


def test_the_size_of_a_bank_is_known_before_it_takes_any_memory() -> None:
    bank = MemoryBank([15_000_000] * 10_000, dim=1024, codewords=16)  # 280 TiB
    assert bank.n_bytes > 2**48
    assert bank.n_tiles == 150_000_000_000
    assert not bank.is_full
